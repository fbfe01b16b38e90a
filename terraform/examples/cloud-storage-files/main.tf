# Conversions from files: whoever drops JSON lines into the bucket has published them. The events' topic is an import topic,
# which publishes each line of a new file as a message; other services may publish to it as well.
resource "google_storage_bucket" "files" {
  # checkov:skip=CKV_GCP_62:who reads the files is in the audit logs, which need no second bucket
  # checkov:skip=CKV_GCP_78:files are taken in once and deleted days later, so there are no versions to keep
  project                     = var.project_id
  name                        = "${var.project_id}-x-conversions-files"
  location                    = var.region
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  # Files hold personal data, and nothing reads them twice.
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

  bucket = google_storage_bucket.files.name
  role   = each.value
  member = "serviceAccount:service-${data.google_project.main.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  # A replaced bucket comes back without its grants.
  lifecycle {
    replace_triggered_by = [google_storage_bucket.files.id]
  }
}

resource "google_pubsub_topic" "files" {
  # checkov:skip=CKV_GCP_83:a key of one's own is the choice of who applies it, see ../hardened
  project = var.project_id
  name    = "x-conversions-files"

  # What the module sees to for a topic of its own.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  ingestion_data_source_settings {
    cloud_storage {
      bucket     = google_storage_bucket.files.name
      match_glob = "conversions/**.jsonl"

      # A message a line, up to 10 MB.
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
  existing = { topic = "projects/${var.project_id}/topics/x-conversions-files" }

  # Lines of yesterday's file may be a day old: X and the browser's pixel recognise each other's for 48 hours.
  settings = { max_event_age_hours = 47 }

  depends_on = [google_pubsub_topic.files]
}

output "bucket" {
  description = "Where files go: conversions/….jsonl, an event a line."
  value       = google_storage_bucket.files.url
}

output "next_steps" {
  description = "The commands that put the keys in and send a first event."
  value       = module.x_conversions.next_steps
}
