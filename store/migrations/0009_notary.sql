-- Notary v1: what The Update Framework signs about repositories.

CREATE TABLE tuf_gun (
    id {id},
    gun {text} NOT NULL UNIQUE, -- host[:port]/project/name, as the client wrote it
    repository_id BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    revision BIGINT NOT NULL, -- grows with every change
    refresh_at BIGINT NOT NULL, -- when something that counts runs out; 0 while nothing is published
    created_at BIGINT NOT NULL
);
CREATE INDEX tuf_gun_repository ON tuf_gun (repository_id);
CREATE INDEX tuf_gun_refresh ON tuf_gun (refresh_at);

CREATE TABLE tuf_file (
    gun_id BIGINT NOT NULL REFERENCES tuf_gun (id) ON DELETE CASCADE,
    role {text} NOT NULL,
    version BIGINT NOT NULL,
    sha256 {text} NOT NULL,
    content {bytes} NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (gun_id, role, version)
);
CREATE INDEX tuf_file_sha256 ON tuf_file (gun_id, role, sha256);

-- The keys that the registry holds, encrypted with its master key.
CREATE TABLE tuf_key (
    gun_id BIGINT NOT NULL REFERENCES tuf_gun (id) ON DELETE CASCADE,
    key_id {text} NOT NULL,
    role {text} NOT NULL,
    public {bytes} NOT NULL,
    sealed {bytes} NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL, -- 0 while it is only offered
    PRIMARY KEY (gun_id, key_id)
);

-- Notary's changefeed; it outlives what it tells of.
CREATE TABLE tuf_change (
    id {id},
    gun {text} NOT NULL,
    version BIGINT NOT NULL,
    sha256 {text} NOT NULL,
    category {text} NOT NULL, -- update or deletion
    created_at BIGINT NOT NULL
);
CREATE INDEX tuf_change_gun ON tuf_change (gun, id);
