locals {
  repository = abspath("${path.module}/..")
  # A release says its version in its name. Of another zip only the function itself knows it: `GET /`.
  version = var.source_archive == null ? regex("__version__ = \"([^\"]+)\"", file("${local.repository}/xcapi_core/__init__.py"))[0] : try(regex("-([0-9]+(?:[.][0-9]+)+[0-9A-Za-z.+-]*)[.]zip$", var.source_archive)[0], "unknown")

  archive_in_a_bucket = var.source_archive == null ? false : startswith(var.source_archive, "gs://")
  archive_path        = local.archive_in_a_bucket ? null : var.source_archive == null ? data.archive_file.source[0].output_path : pathexpand(var.source_archive)
  archive_sha256      = local.archive_in_a_bucket ? null : var.source_archive == null ? data.archive_file.source[0].output_sha256 : filesha256(pathexpand(var.source_archive))

  source_bucket = local.archive_in_a_bucket ? split("/", var.source_archive)[2] : google_storage_bucket.source[0].name
  source_object = local.archive_in_a_bucket ? join("/", slice(split("/", var.source_archive), 3, length(split("/", var.source_archive)))) : google_storage_bucket_object.source[0].name

  artifact_repository_id   = var.existing.artifact_repository != null ? var.existing.artifact_repository : google_artifact_registry_repository.images[0].id
  artifact_repository_name = var.existing.artifact_repository != null ? split("/", var.existing.artifact_repository)[5] : google_artifact_registry_repository.images[0].name

  # What runs, and nothing else: the command line, the sandbox and the tests stay at home. .gcloudignore says the same.
  source_files = concat(
    ["main.py", "requirements.txt"],
    [
      for file in sort(fileset(local.repository, "xcapi_core/**/*.{py,typed}")) :
      file if !startswith(file, "xcapi_core/cli/") && !startswith(file, "xcapi_core/sandbox/") && file != "xcapi_core/__main__.py"
    ],
  )
}

# From contents, not from a folder: neither times nor permissions of a checkout change the zip.
data "archive_file" "source" {
  count = var.source_archive == null ? 1 : 0

  type        = "zip"
  output_path = "${path.root}/.terraform/${var.name}-source.zip"

  dynamic "source" {
    # Terraform validates what `count` leaves out as well: without the condition all the source would travel for that.
    for_each = var.source_archive == null ? local.source_files : []

    content {
      content  = file("${local.repository}/${source.value}")
      filename = source.value
    }
  }
}

# Holds the source that the function is built from. Nothing else is ever put in.
resource "google_storage_bucket" "source" {
  count = local.archive_in_a_bucket ? 0 : 1

  # checkov:skip=CKV_GCP_62:who reads the source is in the audit logs, which need no second bucket
  # checkov:skip=CKV_GCP_78:objects are named by their content and never overwritten, so there are no versions to keep
  project                     = var.project_id
  name                        = "${var.project_id}-${var.name}-source"
  location                    = var.region
  force_destroy               = true # it holds only what the repository has
  labels                      = local.labels
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  dynamic "encryption" {
    for_each = local.kms_key_name[*]

    content {
      default_kms_key_name = encryption.value
    }
  }

  # A source is uploaded again at each deploy; deleted ones need not linger, and cost.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.main]
}

# Named by its content: another source is another object, and so a new revision. Not created before the old one is
# destroyed: that would hold for the bucket too, whose name cannot be there twice. Cloud Functions builds from a copy.
resource "google_storage_bucket_object" "source" {
  count = local.archive_in_a_bucket ? 0 : 1

  bucket = google_storage_bucket.source[0].name
  name   = "${local.archive_sha256}.zip"
  source = local.archive_path

  # A replaced bucket comes back empty under its old name, and what is built next finds no source.
  lifecycle {
    replace_triggered_by = [google_storage_bucket.source[count.index].id]
  }
}

# Holds the function's image. Ours instead of Google's gcf-artifacts: it can be encrypted, bound to, and destroyed.
resource "google_artifact_registry_repository" "images" {
  count = var.existing.artifact_repository == null ? 1 : 0

  project       = var.project_id
  location      = var.region
  repository_id = var.name
  description   = "Images of the function ${var.name}"
  format        = "DOCKER"
  kms_key_name  = local.kms_key_name
  labels        = local.labels

  # Cloud Run keeps its own copy of what serves: old images here only cost.
  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.main]
}
