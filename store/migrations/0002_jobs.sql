-- Background work: the queue of jobs with its history, and what starts them.

CREATE TABLE job (
    id {id},
    kind {text} NOT NULL,
    target BIGINT NOT NULL, -- what it is about, such as a project; 0 is the registry
    parameters {text} NOT NULL, -- JSON object
    status {text} NOT NULL, -- Pending, Running, Success, Error or Stopped
    cause {text} NOT NULL, -- manual, schedule or event
    created_by {text} NOT NULL, -- username
    attempts BIGINT NOT NULL, -- starts that did not come to an end, and the present one
    stopping BOOLEAN NOT NULL, -- somebody asked to stop it
    progress {text} NOT NULL, -- JSON object, as the kind defines it
    message {text} NOT NULL, -- why it failed
    log {text} NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL -- also a sign of life while it runs
);
CREATE INDEX job_kind ON job (kind, target, id);
CREATE INDEX job_status ON job (status, kind, id);
CREATE UNIQUE INDEX job_running ON job (kind) WHERE status = 'Running';

CREATE TABLE schedule (
    id {id},
    kind {text} NOT NULL,
    target BIGINT NOT NULL,
    type {text} NOT NULL, -- Hourly, Daily, Weekly or Custom
    cron {text} NOT NULL, -- six fields, seconds first, UTC
    parameters {text} NOT NULL, -- JSON object, of the jobs it makes
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (kind, target)
);
CREATE INDEX schedule_next ON schedule (next_at);

-- When the manifest lost its last tag or, after that, was pushed or checked by
-- a client about to push; 0 is never.
ALTER TABLE manifest ADD COLUMN untagged_at BIGINT NOT NULL DEFAULT 0;

-- The garbage collection walks the leases in this order.
CREATE INDEX blob_link_lease ON blob_link (leased_until, repository_id, blob_id);
CREATE INDEX blob_deleting ON blob (id) WHERE deleting;
CREATE INDEX repository_hidden ON repository (id) WHERE published_at = 0;
