-- `{schema}` stands for the quoted name of the schema that the embedder chose. The names have a
-- prefix, so that the tables can stand in an embedder's own schema. Times are microseconds since
-- 1970-01-01T00:00:00Z.

CREATE TABLE {schema}.tower_registration_user (
    org_id TEXT COLLATE "C" NOT NULL,
    username TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    -- When a mail is due; NULL where none is owed.
    due_at BIGINT,
    -- The whole value. JSONB, so that one statement can put a lease into it.
    registration JSONB NOT NULL,
    PRIMARY KEY (org_id, username)
    -- Rows are replaced more often than entered: room for the next version on the same page.
) WITH (fillfactor = 70);

CREATE INDEX tower_registration_user_due_at ON {schema}.tower_registration_user (due_at)
WHERE due_at IS NOT NULL;

CREATE TABLE {schema}.tower_registration_nonce (
    -- 16 bytes of the application's digest, then the nonce's 16 or 32.
    key BYTEA NOT NULL PRIMARY KEY,
    fresh_until BIGINT NOT NULL
    -- Every entry is deleted within minutes: don't let a fifth of the table be dead.
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX tower_registration_nonce_fresh_until
ON {schema}.tower_registration_nonce (fresh_until);

-- How many entries there have been. A sequence, since a counter in a row would have every claim
-- wait for the one before. It starts as if one had been entered, so that `last_value` needs no
-- second look at whether it counts.
CREATE SEQUENCE {schema}.tower_registration_nonce_entered;
SELECT setval('{schema}.tower_registration_nonce_entered', 1);

-- One row: what is known about the nonces as a whole. Claims read it, deleting writes it.
CREATE TABLE {schema}.tower_registration_nonces (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- How many entries have been deleted, counted from 1 like those entered.
    forgotten BIGINT NOT NULL,
    -- No entry that was fresh after this has been forgotten.
    forgotten_until BIGINT NOT NULL
) WITH (fillfactor = 10);

INSERT INTO {schema}.tower_registration_nonces (id, forgotten, forgotten_until)
VALUES (1, 1, -9223372036854775808);

-- A trigger, so that nothing can delete an entry, by whatever statement, without raising the mark.
CREATE FUNCTION {schema}.tower_registration_nonce_forgotten() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {schema}.tower_registration_nonces
    SET forgotten = forgotten + batch.entries,
        forgotten_until = greatest(forgotten_until, batch.latest)
    FROM (SELECT count(*) AS entries, max(fresh_until) AS latest FROM gone) AS batch
    WHERE id = 1 AND batch.entries > 0;
    RETURN NULL;
END
$$;

CREATE TRIGGER tower_registration_nonce_forgotten
AFTER DELETE ON {schema}.tower_registration_nonce
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.tower_registration_nonce_forgotten();

-- Enters a nonce: 1 claimed, 2 replayed, 3 unknowable, 4 no room; or error TR001, which is 3.
--
-- At READ COMMITTED every statement in here sees what was committed before it began, and that is
-- what makes a claim safe from a deletion under way. An insert meets a deleted entry no more only
-- once the deletion has been committed, and the mark was raised with it; so the last look, which
-- begins after the insert, sees the mark. The error undoes the insert.
CREATE FUNCTION {schema}.tower_registration_claim(
    this_key BYTEA, this_end BIGINT, this_now BIGINT, capacity BIGINT
) RETURNS INTEGER LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    decisive CONSTANT BIGINT := least(this_end, this_now);
    unknowable BOOLEAN;
    full_up BOOLEAN;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'nonces can be claimed at READ COMMITTED alone'
        USING HINT = 'Set default_transaction_isolation for the connections of the pool.';
    END IF;

    SELECT forgotten_until >= decisive, entered.last_value - forgotten >= capacity
    INTO STRICT unknowable, full_up
    FROM {schema}.tower_registration_nonces, {schema}.tower_registration_nonce_entered AS entered
    WHERE id = 1;
    IF unknowable OR full_up THEN
        RETURN CASE
            WHEN EXISTS (SELECT FROM {schema}.tower_registration_nonce WHERE key = this_key) THEN 2
            WHEN unknowable THEN 3
            ELSE 4
        END;
    END IF;

    INSERT INTO {schema}.tower_registration_nonce (key, fresh_until)
    VALUES (this_key, this_end) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 2;
    END IF;

    IF EXISTS (
        SELECT FROM {schema}.tower_registration_nonces
        WHERE id = 1 AND forgotten_until >= decisive
    ) THEN
        RAISE EXCEPTION 'what the nonce would have met has just been forgotten'
        USING ERRCODE = 'TR001';
    END IF;
    -- Last, since a sequence is not set back when an insert is undone.
    PERFORM nextval('{schema}.tower_registration_nonce_entered');
    RETURN 1;
END
$$;
