-- Runs every hour over the orders of the hour before, each of them once; the columns are fields of docs/event-format-x.md.
DECLARE uri STRING DEFAULT FORMAT(
  'gs://${bucket}/conversions/%s/*.json', FORMAT_TIMESTAMP('%Y/%m/%d/%H', TIMESTAMP_TRUNC(@run_time, HOUR)));

EXECUTE IMMEDIATE FORMAT("""
EXPORT DATA OPTIONS (uri = '%s', format = 'JSON', overwrite = TRUE) AS
SELECT
  'purchase' AS event,
  order_id,
  FORMAT_TIMESTAMP('%%FT%%TZ', created_at) AS time,
  email,
  twclid,
  CAST(total AS STRING) AS value,
  currency,
  marketing_consent AS consent
FROM `${table}`
WHERE created_at >= TIMESTAMP_SUB(TIMESTAMP_TRUNC(@run_time, HOUR), INTERVAL 1 HOUR)
  AND created_at < TIMESTAMP_TRUNC(@run_time, HOUR)
""", uri) USING @run_time AS run_time;
