# Runs the function: reads its pixels' keys, publishes dead letters and remainders. Logs need no grant: they are its output.
resource "google_service_account" "run" {
  count = var.existing.run_service_account == null ? 1 : 0

  project      = var.project_id
  account_id   = "${var.name}-run"
  display_name = "${var.name}: runs the function"

  depends_on = [google_project_service.main]
}

# Calls the function on Pub/Sub's behalf, and can do nothing else.
resource "google_service_account" "push" {
  count = var.existing.push_service_account == null ? 1 : 0

  project      = var.project_id
  account_id   = "${var.name}-push"
  display_name = "${var.name}: pushes events to the function"

  depends_on = [google_project_service.main]
}

# Builds the function's image. Its own, because the default build account may edit the whole project, or do nothing.
resource "google_service_account" "build" {
  count = var.existing.build_service_account == null ? 1 : 0

  project      = var.project_id
  account_id   = "${var.name}-build"
  display_name = "${var.name}: builds the function"

  depends_on = [google_project_service.main]
}

locals {
  # Made here or named.
  service_accounts = {
    build = var.existing.build_service_account != null ? var.existing.build_service_account : google_service_account.build[0].email
    push  = var.existing.push_service_account != null ? var.existing.push_service_account : google_service_account.push[0].email
    run   = var.existing.run_service_account != null ? var.existing.run_service_account : google_service_account.run[0].email
  }
  members = { for duty, email in local.service_accounts : duty => "serviceAccount:${email}" }
  # "-" is any project: an account's e-mail address is unique.
  push_service_account_id = var.existing.push_service_account != null ? "projects/-/serviceAccounts/${var.existing.push_service_account}" : google_service_account.push[0].name

  generations = {
    artifact_repository   = local.artifact_repository_id
    build_service_account = var.existing.build_service_account != null ? var.existing.build_service_account : google_service_account.build[0].id
    push_service_account  = var.existing.push_service_account != null ? var.existing.push_service_account : google_service_account.push[0].id
    run_service_account   = var.existing.run_service_account != null ? var.existing.run_service_account : google_service_account.run[0].id
    source_bucket         = local.archive_in_a_bucket ? local.source_bucket : google_storage_bucket.source[0].id
    topic                 = local.topic_id
  }
}

# A replaced resource comes back without its grants, and a replaced account has lost those that it had: each binding is
# replaced along with what it binds. (A plain reference would do that at every update too, or not at all.) What may be
# yours instead cannot be named in replace_triggered_by, so it is followed through here.
resource "terraform_data" "generation" {
  for_each = local.generations

  triggers_replace = each.value
}

# The function reads exactly its pixels' secrets, made here or named.
resource "google_secret_manager_secret_iam_member" "run" {
  for_each = toset(values(local.secret_ids)) # two pixels may share one

  # The id of a secret that is being replaced is not known, and that replaces the binding.
  secret_id = local.secrets_by_id[each.key]
  member    = local.members.run
  role      = "roles/secretmanager.secretAccessor"

  lifecycle {
    replace_triggered_by = [terraform_data.generation["run_service_account"].id]
  }
}

# The function writes dead letters …
resource "google_pubsub_topic_iam_member" "run" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  member  = local.members.run
  role    = "roles/pubsub.publisher"

  lifecycle {
    replace_triggered_by = [google_pubsub_topic.dead_letters.id, terraform_data.generation["run_service_account"].id]
  }
}

# … and remainders, and to no other topic.
resource "google_pubsub_topic_iam_member" "run_remainder" {
  project = var.project_id
  topic   = google_pubsub_topic.remainder.name
  member  = local.members.run
  role    = "roles/pubsub.publisher"

  lifecycle {
    replace_triggered_by = [google_pubsub_topic.remainder.id, terraform_data.generation["run_service_account"].id]
  }
}

# What the token of a push is checked for.
resource "google_cloud_run_v2_service_iam_member" "push" {
  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.main.name
  member   = local.members.push
  role     = "roles/run.invoker"

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.main.id, terraform_data.generation["push_service_account"].id]
  }
}

# Pub/Sub's agent makes that token. Agents from before April 2021, and those that lost their role, may not by themselves.
resource "google_service_account_iam_member" "pubsub" {
  service_account_id = local.push_service_account_id
  member             = local.service_agents.pubsub
  role               = "roles/iam.serviceAccountTokenCreator"

  lifecycle {
    replace_triggered_by = [terraform_data.generation["push_service_account"].id]
  }
}

# Dead-lettering is Pub/Sub's own work, under its own account: it publishes what it gives up …
resource "google_pubsub_topic_iam_member" "pubsub" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  member  = local.service_agents.pubsub
  role    = "roles/pubsub.publisher"

  lifecycle {
    replace_triggered_by = [google_pubsub_topic.dead_letters.id]
  }
}

# … and acknowledges it where it came from.
resource "google_pubsub_subscription_iam_member" "pubsub" {
  project      = var.project_id
  subscription = google_pubsub_subscription.events.name
  member       = local.service_agents.pubsub
  role         = "roles/pubsub.subscriber"

  lifecycle {
    replace_triggered_by = [google_pubsub_subscription.events.id]
  }
}

resource "google_pubsub_subscription_iam_member" "pubsub_remainder" {
  project      = var.project_id
  subscription = google_pubsub_subscription.remainder.name
  member       = local.service_agents.pubsub
  role         = "roles/pubsub.subscriber"

  lifecycle {
    replace_triggered_by = [google_pubsub_subscription.remainder.id]
  }
}

# Who may report conversions.
resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = toset(var.publishers)

  project = split("/", local.topic_name)[1]
  topic   = split("/", local.topic_name)[3]
  member  = each.key
  role    = "roles/pubsub.publisher"

  lifecycle {
    replace_triggered_by = [terraform_data.generation["topic"].id]
  }
}

locals {
  dead_letter_readers = toset(concat(var.dead_letters.readers, var.dead_letters.replayers))
}

# Who may look at dead letters, and take them out …
resource "google_pubsub_subscription_iam_member" "dead_letter_readers" {
  for_each = { for pair in setproduct(["roles/pubsub.subscriber", "roles/pubsub.viewer"], local.dead_letter_readers) : join(" ", pair) => pair }

  project      = var.project_id
  subscription = google_pubsub_subscription.dead_letters.name
  member       = each.value[1]
  role         = each.value[0]

  lifecycle {
    replace_triggered_by = [google_pubsub_subscription.dead_letters.id]
  }
}

# … finding their subscription by the topic, as `xcapi dlq` does …
resource "google_pubsub_topic_iam_member" "dead_letter_readers" {
  for_each = local.dead_letter_readers

  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  member  = each.key
  role    = "roles/pubsub.viewer"

  lifecycle {
    replace_triggered_by = [google_pubsub_topic.dead_letters.id]
  }
}

# … and who may send them again, where no other subscriber sees them.
resource "google_pubsub_topic_iam_member" "dead_letter_replayers" {
  for_each = toset(var.dead_letters.replayers)

  project = var.project_id
  topic   = google_pubsub_topic.remainder.name
  member  = each.key
  role    = "roles/pubsub.publisher"

  lifecycle {
    replace_triggered_by = [google_pubsub_topic.remainder.id]
  }
}

# The build reads the source where it was uploaded …
resource "google_storage_bucket_iam_member" "build" {
  bucket = local.source_bucket
  member = local.members.build
  role   = "roles/storage.objectViewer"

  # Of a bucket that is yours it reads the one release.
  dynamic "condition" {
    for_each = local.archive_in_a_bucket ? [local.source_object] : []

    content {
      title       = "${var.name} release"
      description = "Only the release that the function is built from"
      expression  = "resource.name == \"projects/_/buckets/${local.source_bucket}/objects/${condition.value}\""
    }
  }

  lifecycle {
    replace_triggered_by = [terraform_data.generation["source_bucket"].id, terraform_data.generation["build_service_account"].id]
  }
}

# … and writes the image.
resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project_id
  location   = var.region
  repository = local.artifact_repository_name
  member     = local.members.build
  role       = "roles/artifactregistry.writer"

  lifecycle {
    replace_triggered_by = [terraform_data.generation["artifact_repository"].id, terraform_data.generation["build_service_account"].id]
  }
}

locals {
  copied_sources = "projects/_/buckets/gcf-v2-sources-${data.google_project.main.number}-${var.region}"
  # On the project only what exists nowhere else.
  build_project_roles = {
    # Log entries belong to the project.
    "roles/logging.logWriter" = null
    # Cloud Functions copies the source to a bucket of its own, which does not exist before the first function does. The
    # slash ends the name: europe-west1 is also how europe-west10 begins.
    "roles/storage.objectViewer" = "resource.name == \"${local.copied_sources}\" || resource.name.startsWith(\"${local.copied_sources}/\")"
  }
}

resource "google_project_iam_member" "build" {
  for_each = local.build_project_roles

  project = var.project_id
  member  = local.members.build
  role    = each.key

  dynamic "condition" {
    for_each = each.value[*]

    content {
      title       = "${var.name} source"
      description = "Only the bucket that Cloud Functions keeps sources in"
      expression  = condition.value
    }
  }

  lifecycle {
    replace_triggered_by = [terraform_data.generation["build_service_account"].id]
  }
}
