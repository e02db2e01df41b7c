-- The truth of the registry. {id}, {text}, {bytes} are replaced by the dialect.
-- Times are microseconds since 1970 in UTC, 0 means never.

CREATE TABLE setting (
    key {text} PRIMARY KEY,
    value {text} NOT NULL
);

CREATE TABLE account (
    id {id},
    username {text} NOT NULL,
    username_key {text} NOT NULL UNIQUE, -- lower case, so that Bob cannot pose as bob
    email {text} NOT NULL,
    email_key {text} UNIQUE, -- lower case, NULL when there is none
    realname {text} NOT NULL,
    comment {text} NOT NULL,
    password_hash {text} NOT NULL,
    secret_hash {text} NOT NULL, -- of the CLI secret, empty when there is none
    sysadmin BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE session (
    hash {text} PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    address {text} NOT NULL,
    agent {text} NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX session_account ON session (account_id);

CREATE TABLE project (
    id {id},
    name {text} NOT NULL UNIQUE,
    owner_id BIGINT NOT NULL,
    owner_name {text} NOT NULL,
    public BOOLEAN NOT NULL,
    quota_hard BIGINT NOT NULL, -- bytes, -1 is unlimited
    quota_used BIGINT NOT NULL, -- bytes, each distinct blob once
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE project_metadata (
    project_id BIGINT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    name {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE member (
    id {id},
    project_id BIGINT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    role BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (account_id, project_id)
);
CREATE INDEX member_project ON member (project_id);

CREATE TABLE robot (
    id {id},
    name {text} NOT NULL UNIQUE, -- full: robot$name or robot$project+name
    project_id BIGINT REFERENCES project (id) ON DELETE CASCADE, -- NULL for a system robot
    description {text} NOT NULL,
    secret_hash {text} NOT NULL,
    disabled BOOLEAN NOT NULL,
    duration BIGINT NOT NULL, -- days, -1 is for ever
    expires_at BIGINT NOT NULL,
    creator {text} NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX robot_project ON robot (project_id);

-- A grant of a robot: in one project, in every project (all_projects) or,
-- where neither is set, on the system.
CREATE TABLE robot_permission (
    robot_id BIGINT NOT NULL REFERENCES robot (id) ON DELETE CASCADE,
    project_id BIGINT REFERENCES project (id) ON DELETE CASCADE,
    all_projects BOOLEAN NOT NULL,
    resource {text} NOT NULL,
    action {text} NOT NULL
);
CREATE INDEX robot_permission_robot ON robot_permission (robot_id);
CREATE INDEX robot_permission_project ON robot_permission (project_id);

CREATE TABLE repository (
    id {id},
    project_id BIGINT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    name {text} NOT NULL UNIQUE, -- full: project/path
    description {text} NOT NULL,
    pull_count BIGINT NOT NULL,
    artifact_count BIGINT NOT NULL,
    published_at BIGINT NOT NULL, -- of the first manifest; 0 while only blobs have arrived
    updated_at BIGINT NOT NULL
);
CREATE INDEX repository_project ON repository (project_id, name);

-- One row for each blob file; a path is never reused, so a blob that is pushed
-- again while its old file is being deleted gets the next generation.
CREATE TABLE blob (
    id {id},
    digest {text} NOT NULL,
    generation BIGINT NOT NULL,
    size BIGINT NOT NULL,
    deleting BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (digest, generation)
);
CREATE UNIQUE INDEX blob_live ON blob (digest) WHERE NOT deleting;

-- A blob that a repository may use. While no manifest of the repository uses
-- it, the link is a lease that ends at leased_until.
CREATE TABLE blob_link (
    repository_id BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    blob_id BIGINT NOT NULL REFERENCES blob (id),
    leased_until BIGINT NOT NULL,
    PRIMARY KEY (repository_id, blob_id)
);
CREATE INDEX blob_link_blob ON blob_link (blob_id);

CREATE TABLE manifest (
    id {id},
    repository_id BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    digest {text} NOT NULL,
    blob_id BIGINT NOT NULL REFERENCES blob (id),
    media_type {text} NOT NULL,
    artifact_type {text} NOT NULL, -- as the referrers API shows it
    config {text} NOT NULL, -- digest, empty for an index
    kind {text} NOT NULL, -- Harbor's artifact type: IMAGE, CHART, ...
    size BIGINT NOT NULL, -- of the manifest itself
    total_size BIGINT NOT NULL, -- with config and layers
    subject {text} NOT NULL, -- digest, empty when there is none
    annotations {text} NOT NULL, -- JSON object
    platform {text} NOT NULL, -- JSON object from the image config, or empty
    pushed_by {text} NOT NULL,
    pushed_at BIGINT NOT NULL,
    pulled_at BIGINT NOT NULL,
    UNIQUE (repository_id, digest)
);
CREATE INDEX manifest_subject ON manifest (repository_id, subject);
CREATE INDEX manifest_pushed ON manifest (repository_id, pushed_at);
CREATE INDEX manifest_blob_file ON manifest (blob_id);

-- The blobs that a manifest uses, itself included; project and repository are
-- repeated so that one index answers quota, pull and garbage questions.
CREATE TABLE manifest_blob (
    manifest_id BIGINT NOT NULL REFERENCES manifest (id) ON DELETE CASCADE,
    blob_id BIGINT NOT NULL REFERENCES blob (id),
    project_id BIGINT NOT NULL,
    repository_id BIGINT NOT NULL,
    PRIMARY KEY (manifest_id, blob_id)
);
CREATE INDEX manifest_blob_use ON manifest_blob (blob_id, project_id, repository_id);

CREATE TABLE manifest_child (
    parent_id BIGINT NOT NULL REFERENCES manifest (id) ON DELETE CASCADE,
    child_id BIGINT NOT NULL REFERENCES manifest (id),
    platform {text} NOT NULL, -- JSON object of the index entry
    annotations {text} NOT NULL, -- JSON object of the index entry
    PRIMARY KEY (parent_id, child_id)
);
CREATE INDEX manifest_child_child ON manifest_child (child_id);

CREATE TABLE tag (
    id {id},
    repository_id BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    manifest_id BIGINT NOT NULL REFERENCES manifest (id),
    name {text} NOT NULL,
    pushed_at BIGINT NOT NULL,
    pulled_at BIGINT NOT NULL,
    UNIQUE (repository_id, name)
);
CREATE INDEX tag_manifest ON tag (manifest_id);

-- Append-only but for retention. Every row carries the hash of the one before
-- it, so a changed, removed or inserted row breaks the chain.
CREATE TABLE audit (
    id BIGINT PRIMARY KEY,
    time BIGINT NOT NULL,
    actor {text} NOT NULL, -- user:12, robot:3, anonymous, system
    username {text} NOT NULL,
    operation {text} NOT NULL,
    resource_type {text} NOT NULL,
    resource {text} NOT NULL,
    project_id BIGINT NOT NULL, -- 0 when it is about no project
    digest {text} NOT NULL,
    address {text} NOT NULL,
    client {text} NOT NULL,
    request_id {text} NOT NULL,
    success BOOLEAN NOT NULL,
    description {text} NOT NULL,
    repeats BIGINT NOT NULL, -- how many times within one batch, 1 or more
    hash {text} NOT NULL
);
CREATE INDEX audit_project ON audit (project_id, id);
CREATE INDEX audit_username ON audit (username, id);
CREATE INDEX audit_time ON audit (time);
