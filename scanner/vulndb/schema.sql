-- A stream is what one updater gives: a series of operations, of which the
-- latest is what readers see. A row of vuln or enrichment lives from first_op
-- until before end_op, so an unchanged row costs an update nothing.

CREATE TABLE stream (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL,   -- of the updater
	kind TEXT NOT NULL,   -- vulnerability or enrichment
	latest INTEGER NOT NULL DEFAULT 0, -- the operation readers see, 0 for none
	UNIQUE (name, kind)
);

-- One row: a number that grows with every change of what readers see.
CREATE TABLE generation (n INTEGER NOT NULL);
INSERT INTO generation (n) VALUES (0);

CREATE TABLE operation (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- later operations have greater ids, for ever
	stream INTEGER NOT NULL,
	ref TEXT NOT NULL UNIQUE,
	fingerprint TEXT NOT NULL,
	date INTEGER NOT NULL,     -- microseconds
	rows INTEGER NOT NULL DEFAULT 0,
	state INTEGER NOT NULL,    -- 0 rows are written, 1 old rows are ended, 2 done
	after INTEGER NOT NULL     -- the greatest row id before it began
);
CREATE INDEX operation_stream ON operation (stream, id);

CREATE TABLE dist (
	id INTEGER PRIMARY KEY,
	did TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, version_code_name TEXT NOT NULL,
	version_id TEXT NOT NULL, arch TEXT NOT NULL, cpe TEXT NOT NULL, pretty_name TEXT NOT NULL,
	UNIQUE (did, version_id, name, version, version_code_name, arch, cpe, pretty_name)
);

CREATE TABLE repo (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL, key TEXT NOT NULL, uri TEXT NOT NULL,
	UNIQUE (name, key, uri)
);

-- What is said to be affected, without the versions that are.
CREATE TABLE package (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL, kind INTEGER NOT NULL, module TEXT NOT NULL, arch TEXT NOT NULL, version TEXT NOT NULL,
	UNIQUE (name, kind, module, arch, version)
);

-- What is the same in all rows of one vulnerability.
CREATE TABLE advisory (
	id INTEGER PRIMARY KEY,
	hash BLOB NOT NULL UNIQUE,
	name TEXT NOT NULL,
	updater TEXT NOT NULL,
	description TEXT NOT NULL,
	issued INTEGER,            -- microseconds; NULL for the zero time
	links TEXT NOT NULL,
	severity TEXT NOT NULL,
	normalized_severity INTEGER NOT NULL,
	aliases TEXT NOT NULL      -- JSON, '' for none: [[space, name] of itself or [], [space, name]...]
);
CREATE INDEX advisory_name ON advisory (name);

CREATE TABLE vuln (
	id INTEGER PRIMARY KEY,
	hash BLOB NOT NULL,        -- of the whole row
	stream INTEGER NOT NULL,
	advisory INTEGER NOT NULL,
	package INTEGER NOT NULL,
	dist INTEGER NOT NULL,
	repo INTEGER NOT NULL,
	fixed TEXT NOT NULL,
	arch_op INTEGER NOT NULL,
	invert INTEGER NOT NULL,
	range_kind TEXT,           -- NULL without a range of versions
	lower BLOB, upper BLOB,    -- lower <= version < upper, see encodeVersion
	first_op INTEGER NOT NULL,
	end_op INTEGER             -- NULL while it lives
);
CREATE UNIQUE INDEX vuln_alive ON vuln (stream, hash) WHERE end_op IS NULL;
CREATE INDEX vuln_ended ON vuln (stream, end_op) WHERE end_op IS NOT NULL;
CREATE INDEX vuln_package ON vuln (package, dist, repo);
CREATE INDEX vuln_advisory ON vuln (advisory);

CREATE TABLE enrichment (
	id INTEGER PRIMARY KEY,
	hash BLOB NOT NULL,
	stream INTEGER NOT NULL,
	tags TEXT NOT NULL,        -- JSON
	data TEXT NOT NULL,        -- JSON
	first_op INTEGER NOT NULL,
	end_op INTEGER
);
CREATE UNIQUE INDEX enrichment_alive ON enrichment (stream, hash) WHERE end_op IS NULL;
CREATE INDEX enrichment_ended ON enrichment (stream, end_op) WHERE end_op IS NOT NULL;

CREATE TABLE enrichment_tag (
	tag TEXT NOT NULL,
	enrichment INTEGER NOT NULL,
	PRIMARY KEY (tag, enrichment)
) WITHOUT ROWID;

CREATE TABLE updater_status (
	name TEXT PRIMARY KEY,
	last_attempt INTEGER NOT NULL,
	last_success INTEGER,
	succeeded INTEGER NOT NULL,
	fingerprint TEXT NOT NULL,
	error TEXT NOT NULL
) WITHOUT ROWID
