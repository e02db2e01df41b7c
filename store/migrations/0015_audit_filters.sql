-- What few rows of a large log have is found without reading the others.
CREATE INDEX audit_operation ON audit (operation, id);
CREATE INDEX audit_resource_type ON audit (resource_type, id);
CREATE INDEX audit_address ON audit (address, id);
CREATE INDEX audit_failed ON audit (id) WHERE success = FALSE;
