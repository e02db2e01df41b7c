-- Words that artifacts are marked with: of one project, or of all of them.
CREATE TABLE label (
    id {id},
    project_id BIGINT REFERENCES project (id) ON DELETE CASCADE, -- NULL for all projects
    name {text} NOT NULL,
    description {text} NOT NULL,
    color {text} NOT NULL, -- #RRGGBB, or empty
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX label_global ON label (name) WHERE project_id IS NULL;
CREATE UNIQUE INDEX label_project ON label (project_id, name) WHERE project_id IS NOT NULL;

CREATE TABLE artifact_label (
    manifest_id BIGINT NOT NULL REFERENCES manifest (id) ON DELETE CASCADE,
    label_id BIGINT NOT NULL REFERENCES label (id) ON DELETE CASCADE,
    PRIMARY KEY (manifest_id, label_id)
);
CREATE INDEX artifact_label_label ON artifact_label (label_id);
