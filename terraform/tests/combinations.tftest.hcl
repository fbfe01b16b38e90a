# Variables together, and at their borders.
mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id = "test-project"
  region     = "europe-west1"
  pixels     = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" } } }
}

run "everything_of_ones_own_and_nothing_of_it_made" {
  command = plan

  variables {
    name = "conversions-of-all-shops"
    existing = {
      artifact_repository   = "projects/test-project/locations/europe-west1/repositories/images"
      build_service_account = "builder@test-project.iam.gserviceaccount.com"
      push_service_account  = "pusher@test-project.iam.gserviceaccount.com"
      run_service_account   = "123456789012-compute@developer.gserviceaccount.com"
      topic                 = "projects/data-project/topics/sales"
    }
    kms_key_name           = "projects/test-keys/locations/europe-west1/keyRings/ring/cryptoKeys/new"
    previous_kms_key_names = ["projects/test-keys/locations/europe-west1/keyRings/ring/cryptoKeys/old", "projects/test-keys/locations/europe-west1/keyRings/ring/cryptoKeys/new"]
    network                = { direct_vpc = { network = "n", subnetwork = "s" } }
    build                  = { worker_pool = "projects/ci/locations/europe-west1/workerPools/p", binary_authorization = "projects/ci/platforms/cloudRun/policies/p" }
    source_archive         = "gs://releases/x-conversions-1.2.3-rc.1.zip"
    pixels                 = { o8z6j = { secret = "keys" }, p9q7k = { secret = "projects/test-project/secrets/keys" } }
    dead_letters           = { retention_days = 1, readers = ["group:ops@example.com"], replayers = ["group:ops@example.com"] }
    alerts                 = { for key in ["crashes", "dead_letters", "silence"] : key => { enabled = false } }
    labels                 = { version = "ours", application = "shop" }
  }

  assert {
    condition     = length(google_kms_crypto_key_iam_member.agents) == 8
    error_message = "two keys for functions, Cloud Run, Pub/Sub and Secret Manager: repository and bucket are encrypted as their owners decided"
  }
  assert {
    condition     = length(google_storage_bucket.source) + length(google_secret_manager_secret.keys) + length(google_service_account.run) == 0
    error_message = "nothing is made that is there"
  }
  assert {
    condition     = length(google_monitoring_alert_policy.main) == 10
    error_message = "the others are left out"
  }
  assert {
    condition     = length(google_pubsub_subscription_iam_member.dead_letter_readers) == 2 && length(google_pubsub_topic_iam_member.dead_letter_replayers) == 1
    error_message = "who stands in both lists has each grant once"
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.main["dead_letters_waiting"].conditions[0].condition_prometheus_query_language[0].query, "> 43200")
    error_message = "half of a day's retention, not a day"
  }
  assert {
    condition     = google_cloudfunctions2_function.main.labels == tomap({ version = "ours", application = "shop" })
    error_message = "labels of yours win"
  }
}

run "an_alert_without_channels_tells_nobody" {
  command = plan

  variables {
    notification_channels = ["projects/test-project/notificationChannels/1"]
    alerts                = { silence = { notification_channels = [] }, retention = { threshold = 0.35 } }
    delivery              = { retention_days = 31 }
  }

  assert {
    condition     = length(google_monitoring_alert_policy.main["silence"].notification_channels) == 0
    error_message = "an empty list is a list"
  }
  assert {
    condition     = endswith(google_logging_metric.main["near_retention"].filter, "oldest_event_age_s>937440") && strcontains(google_monitoring_alert_policy.main["retention"].conditions[0].condition_prometheus_query_language[0].query, "> 937440 or")
    error_message = "whole seconds, not a hundred digits"
  }
}

run "a_version_of_any_length_is_a_label" {
  command = plan

  variables {
    source_archive = "gs://releases/x-conversions-1.2.3+BUILD.0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.zip"
  }

  assert {
    condition     = can(regex("^1-2-3-build-0123[a-z0-9_-]{0,63}$", google_cloudfunctions2_function.main.labels.version)) && length(google_cloudfunctions2_function.main.labels.version) == 63
    error_message = "63 small letters, digits, _ and -"
  }
}

run "the_least_configuration" {
  command = plan
}

run "an_environment_of_just_32768_bytes_of_which_not_all_are_ascii" {
  command = plan

  variables {
    # 41 bytes are the names and the other two values. Half as many umlauts as bytes that are left, and one more letter.
    pixels = { o8z6j = { event_ids = {
      "purchase${(32768 - 41 - length(run.the_least_configuration.config)) % 2 == 1 ? "a" : ""}${substr(join("", [for number in range(1000) : "ääääääääääääääääääää"]), 0, floor((32768 - 41 - length(run.the_least_configuration.config)) / 2))}" = "tw-o8z6j-o8z21"
    } } }
  }

  assert {
    condition     = local.environment_bytes == 32768
    error_message = "the border itself"
  }
}

run "and_of_one_byte_more" {
  command = plan

  variables {
    pixels = { o8z6j = { event_ids = {
      "purchasea${(32768 - 41 - length(run.the_least_configuration.config)) % 2 == 1 ? "a" : ""}${substr(join("", [for number in range(1000) : "ääääääääääääääääääää"]), 0, floor((32768 - 41 - length(run.the_least_configuration.config)) / 2))}" = "tw-o8z6j-o8z21"
    } } }
  }

  expect_failures = [google_cloudfunctions2_function.main]
}
