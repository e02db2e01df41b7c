-- When the file of a blob was found damaged or missing; 0: it is whole. The row
-- stays, so that all that uses the blob is healed by a push of the same content.
ALTER TABLE blob ADD COLUMN damaged_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX blob_damaged ON blob (id) WHERE damaged_at > 0;
