# Runs the function: reads its pixels' keys and publishes dead letters. Logs need no grant: they are the process's output.
resource "google_service_account" "run" {
  project      = var.project_id
  account_id   = "${var.name}-run"
  display_name = "${var.name}: runs the function"

  depends_on = [google_project_service.main]
}

# Calls the function on Pub/Sub's behalf, and can do nothing else.
resource "google_service_account" "push" {
  project      = var.project_id
  account_id   = "${var.name}-push"
  display_name = "${var.name}: pushes events to the function"

  depends_on = [google_project_service.main]
}

# Builds the function's image. Its own, because the default build account may edit the whole project.
resource "google_service_account" "build" {
  project      = var.project_id
  account_id   = "${var.name}-build"
  display_name = "${var.name}: builds the function"

  depends_on = [google_project_service.main]
}

# The function reads exactly its pixels' secrets, made here or named.
resource "google_secret_manager_secret_iam_member" "run" {
  for_each = toset(values(local.secret_ids)) # two pixels may share one

  secret_id = each.key
  member    = google_service_account.run.member
  role      = "roles/secretmanager.secretAccessor"

  depends_on = [google_secret_manager_secret.keys]
}

# The function writes dead letters, and to no other topic.
resource "google_pubsub_topic_iam_member" "run" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  member  = google_service_account.run.member
  role    = "roles/pubsub.publisher"
}

# What the token of a push is checked for.
resource "google_cloud_run_v2_service_iam_member" "push" {
  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.main.name
  member   = google_service_account.push.member
  role     = "roles/run.invoker"
}

# Dead-lettering is Pub/Sub's own work, under its own account: it publishes what it gives up …
resource "google_pubsub_topic_iam_member" "pubsub" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  member  = local.service_agents.pubsub
  role    = "roles/pubsub.publisher"
}

# … and acknowledges it where it came from.
resource "google_pubsub_subscription_iam_member" "pubsub" {
  project      = var.project_id
  subscription = google_pubsub_subscription.events.name
  member       = local.service_agents.pubsub
  role         = "roles/pubsub.subscriber"
}

# Who may report conversions.
resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = toset(var.publishers)

  project = var.project_id
  topic   = google_pubsub_topic.events.name
  member  = each.key
  role    = "roles/pubsub.publisher"
}

# The build reads the source where it was uploaded …
resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  member = google_service_account.build.member
  role   = "roles/storage.objectViewer"
}

# … and writes the image.
resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project_id
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  member     = google_service_account.build.member
  role       = "roles/artifactregistry.writer"
}

locals {
  # On the project only what exists nowhere else.
  build_project_roles = {
    # Log entries belong to the project.
    "roles/logging.logWriter" = null
    # Cloud Functions copies the source to a bucket of its own, which does not exist before the first function does.
    "roles/storage.objectViewer" = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.main.number}-${var.region}\")"
  }
}

resource "google_project_iam_member" "build" {
  for_each = local.build_project_roles

  project = var.project_id
  member  = google_service_account.build.member
  role    = each.key

  dynamic "condition" {
    for_each = each.value[*]

    content {
      title       = "${var.name} source"
      description = "Only the bucket that Cloud Functions keeps sources in"
      expression  = condition.value
    }
  }
}
