-- What projects trust signatures by, and the signatures that were found.

-- A tag of cosign's form sha256-<hex>.sig names signatures of that digest;
-- empty for every other tag.
ALTER TABLE tag ADD COLUMN signs {text} NOT NULL DEFAULT '';
UPDATE tag SET signs = 'sha256:' || substr(name, 8, 64)
    WHERE length(name) = 75 AND substr(name, 1, 7) = 'sha256-' AND substr(name, 72) = '.sig';
CREATE INDEX tag_signs ON tag (repository_id, signs) WHERE signs <> '';

CREATE TABLE trust_anchor (
    id {id},
    project_id BIGINT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    type {text} NOT NULL, -- cosign-key, cosign-identity, sigstore-root, notation-certificate, notation-subject or notation-crl
    name {text} NOT NULL,
    content {text} NOT NULL, -- PEM, JSON or a pattern
    issuer {text} NOT NULL,
    subject {text} NOT NULL,
    pattern BOOLEAN NOT NULL, -- the subject is a regular expression
    store {text} NOT NULL, -- of a certificate: ca, signingAuthority or tsa
    key_id {text} NOT NULL, -- as that of trust_fact
    not_after BIGINT NOT NULL, -- of the content itself, 0 is never
    expires_at BIGINT NOT NULL, -- as an administrator chose, 0 is never
    created_by {text} NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (project_id, type, name),
    UNIQUE (project_id, type, key_id)
);

-- Every signature that was looked at, also those that did not verify.
CREATE TABLE signature (
    id {id},
    repository_id BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    subject {text} NOT NULL, -- digest of the manifest that is signed
    manifest {text} NOT NULL, -- digest of the manifest that holds the signature
    entry BIGINT NOT NULL, -- its place there, from 0
    kind {text} NOT NULL, -- cosign or notation
    format {text} NOT NULL, -- media type
    verified BOOLEAN NOT NULL,
    reason {text} NOT NULL, -- why it is not
    key_id {text} NOT NULL,
    signer {text} NOT NULL,
    signed_at BIGINT NOT NULL,
    valid_until BIGINT NOT NULL, -- 0 has no end
    checked_at BIGINT NOT NULL,
    UNIQUE (repository_id, subject, manifest, entry)
);

-- The manifests whose signatures changed since they were last looked at.
CREATE TABLE signature_due (
    repository_id BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    subject {text} NOT NULL,
    anew BOOLEAN NOT NULL, -- also what is known of them does not hold any more
    round BIGINT NOT NULL, -- how often it became due, so that none is missed while it is looked at
    due_at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, subject)
);
CREATE INDEX signature_due_time ON signature_due (due_at);
