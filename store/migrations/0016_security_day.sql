-- What was known of all images at the end of each day, or at the last look of a
-- day that is not over.
CREATE TABLE security_day (
    day BIGINT PRIMARY KEY, -- its midnight, UTC
    images BIGINT NOT NULL,
    scanned BIGINT NOT NULL,
    critical BIGINT NOT NULL,
    high BIGINT NOT NULL,
    medium BIGINT NOT NULL,
    low BIGINT NOT NULL,
    negligible BIGINT NOT NULL,
    unknown BIGINT NOT NULL,
    fixable BIGINT NOT NULL,
    kev BIGINT NOT NULL
);
