-- An account that is disabled keeps what it owns and admits nobody.
ALTER TABLE account ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
