-- Lists that are read by position: the tags of a manifest by name, and the
-- repositories of a project by their last change.
CREATE INDEX tag_of_manifest ON tag (manifest_id, name);
DROP INDEX tag_manifest;
CREATE INDEX repository_recent ON repository (project_id, updated_at);
DROP INDEX manifest_pushed;
CREATE INDEX manifest_recent ON manifest (repository_id, pushed_at, id);
