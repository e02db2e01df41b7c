-- What the last scans of the images of a repository found in sum, or with
-- repository_id 0 those of all repositories of a project: lists show it.
CREATE TABLE scan_sum (
    project_id BIGINT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    repository_id BIGINT NOT NULL,
    scanned BIGINT NOT NULL, -- images
    failed BIGINT NOT NULL,
    critical BIGINT NOT NULL,
    high BIGINT NOT NULL,
    medium BIGINT NOT NULL,
    low BIGINT NOT NULL,
    negligible BIGINT NOT NULL,
    unknown BIGINT NOT NULL,
    fixable BIGINT NOT NULL,
    kev BIGINT NOT NULL,
    PRIMARY KEY (project_id, repository_id)
);

INSERT INTO scan_sum (project_id, repository_id, scanned, failed, critical, high, medium, low, negligible, unknown, fixable, kev)
SELECT r.project_id, r.id, COUNT(CASE WHEN f.status = 'Success' THEN 1 END), COUNT(CASE WHEN f.status = 'Error' THEN 1 END),
    SUM(f.critical), SUM(f.high), SUM(f.medium), SUM(f.low), SUM(f.negligible), SUM(f.unknown), SUM(f.fixable), SUM(f.kev)
FROM scan_fact f JOIN manifest m ON m.digest = f.digest JOIN repository r ON r.id = m.repository_id
GROUP BY r.project_id, r.id;

INSERT INTO scan_sum (project_id, repository_id, scanned, failed, critical, high, medium, low, negligible, unknown, fixable, kev)
SELECT project_id, 0, SUM(scanned), SUM(failed), SUM(critical), SUM(high), SUM(medium), SUM(low), SUM(negligible), SUM(unknown), SUM(fixable), SUM(kev)
FROM scan_sum GROUP BY project_id;
