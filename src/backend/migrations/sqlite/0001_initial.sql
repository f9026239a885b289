-- Times are microseconds since 1970-01-01T00:00:00Z. The names have a prefix, so that the tables
-- can stand in an embedder's own database.

CREATE TABLE tower_registration_nonce (
    -- 16 bytes of the application's digest, then the nonce's 16 or 32.
    key BLOB NOT NULL PRIMARY KEY,
    fresh_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tower_registration_nonce_fresh_until ON tower_registration_nonce (fresh_until);

-- One row: what is known about the nonces as a whole.
CREATE TABLE tower_registration_nonces (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    live INTEGER NOT NULL,
    -- No entry that was fresh after this has been forgotten.
    forgotten_until INTEGER NOT NULL
) STRICT;

INSERT INTO tower_registration_nonces (id, live, forgotten_until)
VALUES (1, 0, -9223372036854775808);

CREATE TRIGGER tower_registration_nonce_entered AFTER INSERT ON tower_registration_nonce BEGIN
    UPDATE tower_registration_nonces SET live = live + 1 WHERE id = 1;
END;

-- A trigger, so that nothing can delete an entry, by whatever statement, without raising the mark.
CREATE TRIGGER tower_registration_nonce_forgotten AFTER DELETE ON tower_registration_nonce BEGIN
    UPDATE tower_registration_nonces
    SET live = live - 1, forgotten_until = max(forgotten_until, old.fresh_until)
    WHERE id = 1;
END;

CREATE TABLE tower_registration_user (
    org_id TEXT NOT NULL,
    username TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- When a mail is due; NULL where none is owed.
    due_at INTEGER,
    -- The whole value, as JSON.
    registration TEXT NOT NULL,
    PRIMARY KEY (org_id, username)
) STRICT;

CREATE INDEX tower_registration_user_due_at ON tower_registration_user (due_at)
WHERE due_at IS NOT NULL;
