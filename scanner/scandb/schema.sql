-- What claircore's indexer finds in layers and images, as its own store keeps
-- it, and the vulnerability reports made from that.

CREATE TABLE scanner (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL,
	UNIQUE (name, version, kind)
);

-- What else a scanner's findings depend on, besides the layer.
CREATE TABLE input (scanner TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE layer (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE);
CREATE TABLE manifest (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE);

CREATE TABLE manifest_layer (
	manifest INTEGER NOT NULL, layer INTEGER NOT NULL, i INTEGER NOT NULL,
	PRIMARY KEY (manifest, layer, i)
) WITHOUT ROWID;
CREATE INDEX manifest_layer_layer ON manifest_layer (layer);

CREATE TABLE scanned_layer (layer INTEGER NOT NULL, scanner INTEGER NOT NULL, PRIMARY KEY (layer, scanner)) WITHOUT ROWID;
CREATE TABLE scanned_manifest (manifest INTEGER NOT NULL, scanner INTEGER NOT NULL, PRIMARY KEY (manifest, scanner)) WITHOUT ROWID;

-- What can be found in a layer. Reports refer to packages, distributions and
-- repositories by these ids, which are never used twice.
CREATE TABLE package (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL, version TEXT NOT NULL, kind INTEGER NOT NULL, module TEXT NOT NULL, arch TEXT NOT NULL,
	norm_version TEXT NOT NULL, -- as claircore.Version writes itself, '' for none
	UNIQUE (name, version, kind, module, arch)
);
CREATE TABLE dist (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL, did TEXT NOT NULL, version TEXT NOT NULL, version_code_name TEXT NOT NULL,
	version_id TEXT NOT NULL, arch TEXT NOT NULL, cpe TEXT NOT NULL, pretty_name TEXT NOT NULL,
	UNIQUE (name, did, version, version_code_name, version_id, arch, cpe, pretty_name)
);
CREATE TABLE repo (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL, key TEXT NOT NULL, uri TEXT NOT NULL, cpe TEXT NOT NULL,
	UNIQUE (name, key, uri)
);
CREATE TABLE file (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	path TEXT NOT NULL, kind TEXT NOT NULL,
	UNIQUE (path, kind)
);

-- What is in which layer.
CREATE TABLE package_in (
	layer INTEGER NOT NULL, package INTEGER NOT NULL, source INTEGER NOT NULL, scanner INTEGER NOT NULL,
	package_db TEXT NOT NULL, repository_hint TEXT NOT NULL, filepath TEXT NOT NULL,
	PRIMARY KEY (layer, scanner, package, source, package_db, repository_hint)
) WITHOUT ROWID;
CREATE TABLE dist_in (layer INTEGER NOT NULL, scanner INTEGER NOT NULL, dist INTEGER NOT NULL, PRIMARY KEY (layer, scanner, dist)) WITHOUT ROWID;
CREATE TABLE repo_in (layer INTEGER NOT NULL, scanner INTEGER NOT NULL, repo INTEGER NOT NULL, PRIMARY KEY (layer, scanner, repo)) WITHOUT ROWID;
CREATE TABLE file_in (layer INTEGER NOT NULL, scanner INTEGER NOT NULL, file INTEGER NOT NULL, PRIMARY KEY (layer, scanner, file)) WITHOUT ROWID;

-- What is in which image; dist and repo are 0 where there is none.
CREATE TABLE manifest_index (
	manifest INTEGER NOT NULL, package INTEGER NOT NULL, dist INTEGER NOT NULL, repo INTEGER NOT NULL,
	PRIMARY KEY (manifest, package, dist, repo)
) WITHOUT ROWID;
CREATE INDEX manifest_index_package ON manifest_index (package);

CREATE TABLE index_report (
	manifest INTEGER PRIMARY KEY,
	report BLOB NOT NULL       -- JSON, compressed with zstd
);

-- A vulnerability report: when an index report was last matched, and with what.
CREATE TABLE report (
	manifest INTEGER PRIMARY KEY,
	feed INTEGER NOT NULL,     -- generation of the vulnerability database
	indexed_at INTEGER NOT NULL, matched_at INTEGER NOT NULL, changed_at INTEGER NOT NULL, -- microseconds
	os TEXT NOT NULL,          -- the distribution's pretty name, '' for none
	packages INTEGER NOT NULL
);

-- What is the same wherever a vulnerability is found.
CREATE TABLE advisory (
	id INTEGER PRIMARY KEY,
	hash BLOB NOT NULL UNIQUE,
	cve TEXT NOT NULL,         -- the id; that of the source where it has no CVE
	name TEXT NOT NULL,        -- the source's name for it
	updater TEXT NOT NULL,
	severity INTEGER NOT NULL, -- core.Severity, the effective one
	source_severity TEXT NOT NULL,
	score REAL NOT NULL,       -- CVSS base score, 0 for none
	vector TEXT NOT NULL,
	kev INTEGER NOT NULL,
	issued INTEGER NOT NULL,   -- microseconds, 0 for unknown
	description TEXT NOT NULL,
	links TEXT NOT NULL
);
CREATE INDEX advisory_cve ON advisory (cve);

CREATE TABLE finding (
	manifest INTEGER NOT NULL, package INTEGER NOT NULL, advisory INTEGER NOT NULL,
	fixed TEXT NOT NULL,       -- the version without it, '' for none
	layer INTEGER NOT NULL,    -- that brought the package, 0 for unknown
	place TEXT NOT NULL,       -- of the package in the image
	PRIMARY KEY (manifest, package, advisory)
) WITHOUT ROWID;
CREATE INDEX finding_advisory ON finding (advisory, manifest)
