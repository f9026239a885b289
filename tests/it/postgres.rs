//! What PostgreSQL adds to the contracts: several processes, restarts, settings, faults.
