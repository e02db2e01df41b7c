-- Rules that forbid to move or delete tags, and rules that clean up.

CREATE TABLE immutable_rule (
    id {id},
    project_id BIGINT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    disabled BOOLEAN NOT NULL,
    priority BIGINT NOT NULL,
    tags {text} NOT NULL, -- JSON array of selectors
    repositories {text} NOT NULL, -- JSON array of selectors
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX immutable_rule_project ON immutable_rule (project_id);

-- Its runs are jobs, and its times are a schedule, of the kind RETENTION with
-- this id as target.
CREATE TABLE retention (
    id {id},
    project_id BIGINT NOT NULL UNIQUE REFERENCES project (id) ON DELETE CASCADE,
    rules {text} NOT NULL, -- JSON array
    cron {text} NOT NULL, -- six fields, seconds first, UTC; empty: by hand only
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What one run did in one repository.
CREATE TABLE retention_task (
    id {id},
    job_id BIGINT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    repository {text} NOT NULL, -- full name
    status {text} NOT NULL, -- as that of a job
    total BIGINT NOT NULL, -- artifacts
    retained BIGINT NOT NULL, -- artifacts
    message {text} NOT NULL, -- of an error
    results {text} NOT NULL, -- JSON array
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    UNIQUE (job_id, repository)
);
