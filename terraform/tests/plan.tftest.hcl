mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id = "test-project"
  region     = "europe-west1"
  pixels     = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" } } }
}

run "the_dead_letter_subscription_keeps_letters_as_long_as_pubsub_can" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.dead_letters.message_retention_duration == "2678400s"
    error_message = "31 days is the longest"
  }
  assert {
    condition     = google_pubsub_subscription.dead_letters.expiration_policy[0].ttl == ""
    error_message = "an idle dead-letter subscription must never expire"
  }
}

run "nothing_that_holds_events_or_keys_is_destroyed_by_mistake" {
  command = plan

  assert {
    condition = alltrue([
      google_pubsub_topic.events.deletion_policy == "PREVENT",
      google_pubsub_topic.dead_letters.deletion_policy == "PREVENT",
      google_pubsub_subscription.events.deletion_policy == "PREVENT",
      google_pubsub_subscription.dead_letters.deletion_policy == "PREVENT",
      google_secret_manager_secret.keys["o8z6j"].deletion_protection,
    ])
    error_message = "topics, subscriptions and secrets must be protected"
  }
}

run "deliveries_are_retried_for_hours_and_answered_in_time" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.events.dead_letter_policy[0].max_delivery_attempts == 100
    error_message = "Pub/Sub's default of 5 would dead-letter good events in minutes"
  }
  assert {
    condition     = google_pubsub_subscription.events.retry_policy[0].minimum_backoff == "10s" && google_pubsub_subscription.events.retry_policy[0].maximum_backoff == "600s"
    error_message = "back-off from 10 to 600 s"
  }
  assert {
    condition     = google_pubsub_subscription.events.ack_deadline_seconds == 75 && google_cloudfunctions2_function.main.service_config[0].timeout_seconds == 75
    error_message = "the ack deadline is settle_timeout_s and 25 s more, and nobody waits longer"
  }
}

run "the_function_is_internal_one_process_and_logs_on_its_own" {
  command = plan

  assert {
    condition     = google_cloudfunctions2_function.main.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "only Pub/Sub has business here"
  }
  assert {
    condition     = google_cloudfunctions2_function.main.service_config[0].environment_variables["LOG_EXECUTION_ID"] == "false"
    error_message = "the platform's own value is unsafe with concurrent requests"
  }
  assert {
    condition     = google_cloudfunctions2_function.main.service_config[0].environment_variables["WORKERS"] == "1"
    error_message = "ledger and budget live in one process"
  }
  assert {
    condition     = google_cloudfunctions2_function.main.service_config[0].max_instance_count == 1
    error_message = "one ledger sees every redelivery"
  }
}

run "instances_share_the_rate_budget" {
  command = plan

  variables {
    function = { max_instances = 7 }
    settings = { rate = { events = 60000, window_s = 900 } }
  }

  assert {
    condition     = jsondecode(google_cloudfunctions2_function.main.service_config[0].environment_variables["XCAPI_CONFIG"]).rate.events == 8571
    error_message = "60,000 for seven instances are 8,571 each"
  }
}

run "a_secret_is_a_container_in_the_region" {
  command = plan

  assert {
    condition     = google_secret_manager_secret.keys["o8z6j"].replication[0].user_managed[0].replicas[0].location == "europe-west1"
    error_message = "replication cannot be changed later"
  }
}

run "an_existing_secret_is_read_and_not_created" {
  command = plan

  variables {
    pixels = {
      o8z6j = { secret = "keys" }
      p9q7k = { secret = "projects/test-project/secrets/keys" }
    }
  }

  assert {
    condition     = length(google_secret_manager_secret.keys) == 0
    error_message = "it exists already"
  }
  assert {
    condition     = join(",", keys(google_secret_manager_secret_iam_member.run)) == "projects/test-project/secrets/keys"
    error_message = "two pixels with one secret need one grant"
  }
}

run "a_key_encrypts_everything_that_can_be" {
  command = plan

  variables {
    kms_key_name = "projects/test-keys/locations/europe-west1/keyRings/ring/cryptoKeys/key"
  }

  assert {
    condition = alltrue([
      google_pubsub_topic.events.kms_key_name == var.kms_key_name,
      google_pubsub_topic.dead_letters.kms_key_name == var.kms_key_name,
      google_storage_bucket.source.encryption[0].default_kms_key_name == var.kms_key_name,
      google_artifact_registry_repository.images.kms_key_name == var.kms_key_name,
      google_cloudfunctions2_function.main.kms_key_name == var.kms_key_name,
      google_secret_manager_secret.keys["o8z6j"].replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == var.kms_key_name,
    ])
    error_message = "topics, source, image, function and secrets"
  }
  assert {
    condition     = length(google_kms_crypto_key_iam_member.service_agents) == 6
    error_message = "each service encrypts under its own account"
  }
}

run "a_runbook_address_makes_links" {
  command = plan

  variables {
    runbook_url = "https://git.example.com/docs/operations.md"
  }

  assert {
    condition     = google_monitoring_alert_policy.main["Push errors"].documentation[0].links[0].url == "https://git.example.com/docs/operations.md#push-errors"
    error_message = "an alert must lead to its section"
  }
}

run "the_commands_in_an_alert_name_this_deployment" {
  command = plan

  variables {
    name = "shop-conversions"
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.main["Dead letters appear"].documentation[0].content, "subscriptions pull shop-conversions-dead-letter")
    error_message = "whoever is woken must not have to translate"
  }
  assert {
    condition     = endswith(google_monitoring_alert_policy.main["Dead letters appear"].documentation[0].content, "Runbook: docs/operations.md#dead-letters-appear")
    error_message = "an alert must lead to its section"
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.main["X refuses the keys"].conditions[0].condition_prometheus_query_language[0].query, "logging_googleapis_com:user_shop_conversions_keys_refused{")
    error_message = "PromQL spells a log-based metric with underscores"
  }
}

run "next_steps_of_a_pixel_without_event_names_send_a_tag" {
  command = plan

  variables {
    pixels = { o8z6j = { secret = "keys" } }
  }

  assert {
    condition     = strcontains(output.next_steps, "\"event_id\":\"tw-o8z6j-TAG\"") && strcontains(output.next_steps, "projects/test-project/secrets/keys was there before")
    error_message = "there is no name to send, and no keys to put in"
  }
}
