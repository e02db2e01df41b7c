-- Scanning: what is scanned is found by its digest, in whatever repositories.
CREATE INDEX manifest_digest ON manifest (digest, kind);

-- What people should know of and did not cause themselves; for those who may
-- see the project or, where that is 0, for system admins.
CREATE TABLE notification (
    id {id},
    time BIGINT NOT NULL,
    kind {text} NOT NULL,
    project_id BIGINT NOT NULL,
    resource {text} NOT NULL,
    digest {text} NOT NULL,
    text {text} NOT NULL
);
CREATE INDEX notification_project ON notification (project_id, id);
CREATE INDEX notification_time ON notification (time);

-- Up to which id each account has seen them.
CREATE TABLE notification_seen (
    account_id BIGINT PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    through_id BIGINT NOT NULL
);
