-- The CVE feeds: what an administrator has set, and how their last runs went.
-- A feed without a row is as in a new installation.

CREATE TABLE feed (
    name {text} PRIMARY KEY,
    enabled BOOLEAN NOT NULL,
    urls {text} NOT NULL, -- JSON object: addresses in place of upstream's, by the source
    attempted_at BIGINT NOT NULL,
    succeeded_at BIGINT NOT NULL, -- of the last run in which all parts succeeded
    changed_at BIGINT NOT NULL, -- when new data came last
    origin {text} NOT NULL, -- of the data: fetched or imported
    error {text} NOT NULL -- of the last run
);

CREATE TABLE feed_part (
    feed {text} NOT NULL,
    name {text} NOT NULL, -- of claircore's updater
    records BIGINT NOT NULL,
    attempted_at BIGINT NOT NULL,
    succeeded_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    fingerprint {text} NOT NULL,
    error {text} NOT NULL,
    PRIMARY KEY (feed, name)
);
