-- What decides whether an artifact may be pulled.

-- What pulls from the project must meet, a JSON object that is made anew with
-- each change of metadata, allowlist or trusted keys; empty: nothing.
ALTER TABLE project ADD COLUMN policy {text} NOT NULL DEFAULT '';

-- The outcome of the last scan of a manifest, wherever it is.
CREATE TABLE scan_fact (
    digest {text} PRIMARY KEY,
    status {text} NOT NULL, -- Success, Error or Unscannable
    engine {text} NOT NULL,
    feed {text} NOT NULL, -- generation of the vulnerability data
    message {text} NOT NULL, -- why there are no findings
    findings {text} NOT NULL, -- one a line, the worst first: severity, f when fixable, k when exploited, a space, the id
    critical BIGINT NOT NULL, -- how many findings have which severity
    high BIGINT NOT NULL,
    medium BIGINT NOT NULL,
    low BIGINT NOT NULL,
    negligible BIGINT NOT NULL,
    unknown BIGINT NOT NULL,
    fixable BIGINT NOT NULL,
    kev BIGINT NOT NULL,
    scanned_at BIGINT NOT NULL,
    duration BIGINT NOT NULL -- microseconds
);
CREATE INDEX scan_fact_worst ON scan_fact (critical, high, medium, low);

-- Verified signatures only; one row for each key that signed.
CREATE TABLE trust_fact (
    repository_id BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    digest {text} NOT NULL,
    kind {text} NOT NULL, -- notary, cosign or notation
    tag {text} NOT NULL, -- the signed tag; empty when the signature names none
    key_id {text} NOT NULL, -- fingerprint or identity of the key that verified
    signer {text} NOT NULL,
    signed_at BIGINT NOT NULL,
    valid_until BIGINT NOT NULL, -- 0 has no end
    PRIMARY KEY (repository_id, digest, kind, tag, key_id)
);

-- The vulnerabilities that do not count, of a project or, with project_id 0,
-- of the registry.
CREATE TABLE cve_allowlist (
    project_id BIGINT PRIMARY KEY,
    items {text} NOT NULL, -- JSON array of ids
    expires_at BIGINT NOT NULL, -- 0 is never
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
