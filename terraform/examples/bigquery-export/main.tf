# Conversions from BigQuery, on a schedule: a query writes rows as JSON lines to a bucket, and an import topic publishes
# them. BigQuery exports to Pub/Sub itself only from continuous queries, which need an Enterprise reservation.
resource "google_storage_bucket" "rows" {
  # checkov:skip=CKV_GCP_62:who reads the rows is in the audit logs, which need no second bucket
  # checkov:skip=CKV_GCP_78:each run writes files of its own, deleted days later, so there are no versions to keep
  project                     = var.project_id
  name                        = "${var.project_id}-x-conversions-rows"
  location                    = var.region
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  # Rows hold personal data, and nothing reads them twice.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 7
    }
  }
}

data "google_project" "main" {
  project_id = var.project_id
}

# Pub/Sub's own agent takes the files in; both roles, as its documentation has it.
resource "google_storage_bucket_iam_member" "import" {
  for_each = toset(["roles/storage.legacyBucketReader", "roles/storage.objectViewer"])

  bucket = google_storage_bucket.rows.name
  role   = each.value
  member = "serviceAccount:service-${data.google_project.main.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  # A replaced bucket comes back without its grants, and a replaced account has lost those that it had.
  lifecycle {
    replace_triggered_by = [google_storage_bucket.rows.id]
  }
}

# The query runs as an identity of its own, that may read one dataset and write one bucket.
resource "google_service_account" "export" {
  project      = var.project_id
  account_id   = "x-conversions-export"
  display_name = "Exports rows for x-conversions"
}

resource "google_storage_bucket_iam_member" "export" {
  bucket = google_storage_bucket.rows.name
  role   = "roles/storage.objectUser"
  member = google_service_account.export.member

  lifecycle {
    replace_triggered_by = [google_storage_bucket.rows.id, google_service_account.export.id]
  }
}

resource "google_bigquery_dataset_iam_member" "export" {
  project    = var.project_id
  dataset_id = var.dataset
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.export.member

  lifecycle {
    replace_triggered_by = [google_service_account.export.id]
  }
}

# Jobs exist on the project alone.
resource "google_project_iam_member" "export" {
  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.export.member

  lifecycle {
    replace_triggered_by = [google_service_account.export.id]
  }
}

resource "google_bigquery_data_transfer_config" "export" {
  project                = var.project_id
  location               = var.region
  display_name           = "x-conversions: purchases of the last hour"
  data_source_id         = "scheduled_query"
  schedule               = "every 1 hours"
  service_account_name   = google_service_account.export.email
  destination_dataset_id = ""

  params = {
    query = templatefile("${path.module}/export.sql", {
      bucket = google_storage_bucket.rows.name
      table  = "${var.project_id}.${var.dataset}.${var.table}"
    })
  }

  depends_on = [
    google_bigquery_dataset_iam_member.export,
    google_project_iam_member.export,
    google_storage_bucket_iam_member.export,
  ]
}

resource "google_pubsub_topic" "rows" {
  # checkov:skip=CKV_GCP_83:a key of one's own is the choice of who applies it, see ../hardened
  project = var.project_id
  name    = "x-conversions-rows"

  # What the module sees to for a topic of its own.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  ingestion_data_source_settings {
    cloud_storage {
      bucket     = google_storage_bucket.rows.name
      match_glob = "conversions/**.json"

      # A message a row, up to 10 MB.
      text_format {
        delimiter = "\n"
      }
    }

    # A file that cannot be read says so in the log instead of being skipped in silence.
    platform_logs_settings {
      severity = "WARNING"
    }
  }

  # Without its grants the import stops in error.
  depends_on = [google_storage_bucket_iam_member.import]
}

module "x_conversions" {
  source = "../.."

  project_id = var.project_id
  region     = var.region
  pixels     = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" } } }

  # By its name, which is known at plan.
  existing = { topic = "projects/${var.project_id}/topics/x-conversions-rows" }

  # Late rows would double what the pixel sent: X recognises the two for 48 hours.
  settings = { max_event_age_hours = 47 }

  depends_on = [google_pubsub_topic.rows]
}

output "next_steps" {
  description = "The commands that put the keys in and send a first event."
  value       = module.x_conversions.next_steps
}

output "schedule" {
  description = "The scheduled query, for `bq ls --transfer_run`."
  value       = google_bigquery_data_transfer_config.export.name
}
