-- Who signs in a trusted collection, a JSON object that is made anew with each
-- change; empty while nothing is published.
ALTER TABLE tuf_gun ADD COLUMN signers {text} NOT NULL DEFAULT '';
UPDATE tuf_gun SET refresh_at = 1 WHERE refresh_at > 0;
