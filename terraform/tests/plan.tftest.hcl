mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id = "test-project"
  region     = "europe-west1"
  pixels     = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" } } }
}

run "the_dead_letter_subscription_keeps_dead_letters_as_long_as_pubsub_can" {
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
      google_pubsub_topic.events[0].deletion_policy == "PREVENT",
      google_pubsub_topic.dead_letters.deletion_policy == "PREVENT",
      google_pubsub_topic.remainder.deletion_policy == "PREVENT",
      google_pubsub_subscription.events.deletion_policy == "PREVENT",
      google_pubsub_subscription.remainder.deletion_policy == "PREVENT",
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
      google_pubsub_topic.events[0].kms_key_name == var.kms_key_name,
      google_pubsub_topic.dead_letters.kms_key_name == var.kms_key_name,
      google_pubsub_topic.remainder.kms_key_name == var.kms_key_name,
      google_storage_bucket.source[0].encryption[0].default_kms_key_name == var.kms_key_name,
      google_artifact_registry_repository.images[0].kms_key_name == var.kms_key_name,
      google_cloudfunctions2_function.main.kms_key_name == var.kms_key_name,
      google_secret_manager_secret.keys["o8z6j"].replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == var.kms_key_name,
    ])
    error_message = "topics, source, image, function and secrets"
  }
  assert {
    condition     = length(google_kms_crypto_key_iam_member.agents) == 6
    error_message = "each service encrypts under its own account"
  }
}

run "a_runbook_address_makes_links" {
  command = plan

  variables {
    runbook_url = "https://git.example.com/docs/operations.md"
  }

  assert {
    condition     = google_monitoring_alert_policy.main["push_errors"].documentation[0].links[1].url == "https://git.example.com/docs/operations.md#push-errors"
    error_message = "an alert must lead to its section"
  }
}

run "the_commands_in_an_alert_name_this_deployment" {
  command = plan

  variables {
    name = "shop-conversions"
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.main["dead_letters"].documentation[0].content, "dlq list --subscription shop-conversions-dead-letter")
    error_message = "whoever is woken must not have to translate"
  }
  assert {
    condition     = endswith(google_monitoring_alert_policy.main["dead_letters"].documentation[0].content, "Runbook: docs/operations.md#dead-letters-appear")
    error_message = "an alert must lead to its section"
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.main["refuses_everything"].conditions[0].condition_prometheus_query_language[0].query, "logging_googleapis_com:user_shop_conversions_refuses_everything{")
    error_message = "PromQL spells a log-based metric with underscores"
  }
}

run "the_first_event_is_nobodys_purchase" {
  command = plan

  variables {
    pixels = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" }, secret = "keys" } }
  }

  assert {
    condition     = !strcontains(output.next_steps, "o8z21") && !strcontains(output.next_steps, "purchase") && strcontains(output.next_steps, "TAG=tw-o8z6j-test")
    error_message = "X has no test mode: what it accepts counts"
  }
  assert {
    condition     = strcontains(output.next_steps, "projects/test-project/secrets/keys was there before")
    error_message = "there are no keys to put in"
  }
}

run "each_pixel_has_a_file_of_its_own_which_goes_only_when_its_keys_are_in" {
  command = plan

  variables {
    pixels = { o8z6j = {}, p9q7k = {} }
  }

  assert {
    condition = alltrue([
      for pixel_id in ["o8z6j", "p9q7k"] :
      strcontains(output.next_steps, "x-conversions-${pixel_id} --project=test-project --data-file=keys-${pixel_id}.json && rm keys-${pixel_id}.json\n")
    ])
    error_message = "a failed command must not remove the keys"
  }
}

run "remainders_are_delivered_by_the_events_rules_and_without_a_filter" {
  command = plan

  variables {
    delivery = { filter = "attributes.kind = \"sale\"", max_delivery_attempts = 50, min_backoff_s = 5 }
  }

  assert {
    condition = alltrue([
      google_pubsub_subscription.remainder.ack_deadline_seconds == google_pubsub_subscription.events.ack_deadline_seconds,
      google_pubsub_subscription.remainder.dead_letter_policy[0].max_delivery_attempts == 50,
      google_pubsub_subscription.remainder.retry_policy[0].minimum_backoff == "5s",
      google_pubsub_subscription.remainder.message_retention_duration == google_pubsub_subscription.events.message_retention_duration,
    ])
    error_message = "what waits is tried as often as what is new"
  }
  assert {
    condition     = google_pubsub_subscription.remainder.filter == null && google_pubsub_subscription.events.filter != null
    error_message = "a remainder was let through by the filter already"
  }
  assert {
    condition     = jsondecode(output.config).remainder_topic == "projects/test-project/topics/x-conversions-remainder"
    error_message = "the function must know where to"
  }
}

run "a_key_before_keeps_its_grants" {
  command = plan

  variables {
    kms_key_name           = "projects/test-keys/locations/europe-west1/keyRings/ring/cryptoKeys/new"
    previous_kms_key_names = ["projects/test-keys/locations/europe-west1/keyRings/ring/cryptoKeys/old"]
  }

  assert {
    condition     = length(google_kms_crypto_key_iam_member.agents) == 12
    error_message = "each agent needs both keys while something is written under the old one"
  }
}

run "what_is_there_already_is_used_and_not_made" {
  command = plan

  variables {
    existing = {
      artifact_repository   = "projects/test-project/locations/europe-west1/repositories/images"
      build_service_account = "builder@ci-project.iam.gserviceaccount.com"
      push_service_account  = "pusher@test-project.iam.gserviceaccount.com"
      run_service_account   = "runner@test-project.iam.gserviceaccount.com"
      topic                 = "projects/data-project/topics/sales"
    }
    kms_key_name = "projects/test-keys/locations/europe-west1/keyRings/ring/cryptoKeys/key"
    publishers   = ["group:jobs@example.com"]
  }

  assert {
    condition = length(concat(
      google_pubsub_topic.events[*].name, google_service_account.run[*].email, google_service_account.push[*].email,
      google_service_account.build[*].email, google_artifact_registry_repository.images[*].name,
    )) == 0
    error_message = "nothing of it may be made twice"
  }
  assert {
    condition = alltrue([
      google_pubsub_subscription.events.topic == "projects/data-project/topics/sales",
      output.topic_id == "projects/data-project/topics/sales",
      google_pubsub_topic_iam_member.publishers["group:jobs@example.com"].project == "data-project",
      google_cloudfunctions2_function.main.service_config[0].service_account_email == "runner@test-project.iam.gserviceaccount.com",
      google_cloudfunctions2_function.main.build_config[0].service_account == "projects/ci-project/serviceAccounts/builder@ci-project.iam.gserviceaccount.com",
      google_cloudfunctions2_function.main.build_config[0].docker_repository == "projects/test-project/locations/europe-west1/repositories/images",
      google_pubsub_subscription.remainder.push_config[0].oidc_token[0].service_account_email == "pusher@test-project.iam.gserviceaccount.com",
      output.service_accounts.build == "builder@ci-project.iam.gserviceaccount.com",
    ])
    error_message = "each must stand where ours would"
  }
  assert {
    condition     = length([for key, _ in google_kms_crypto_key_iam_member.agents : key if startswith(key, "artifact_registry")]) == 0
    error_message = "a repository of theirs is encrypted as they decided"
  }
}

run "a_connector_or_a_network_carries_what_the_function_sends" {
  command = plan

  variables {
    network = {
      direct_vpc = { subnetwork = "serverless", tags = ["x-ads"] }
      egress     = "ALL_TRAFFIC"
    }
  }

  assert {
    condition = alltrue([
      google_cloudfunctions2_function.main.service_config[0].direct_vpc_network_interface[0].subnetwork == "serverless",
      google_cloudfunctions2_function.main.service_config[0].direct_vpc_egress == "VPC_EGRESS_ALL_TRAFFIC",
      google_cloudfunctions2_function.main.service_config[0].vpc_connector == null,
    ])
    error_message = "direct VPC egress"
  }
}

run "a_connector_needs_no_more_than_its_name" {
  command = plan

  variables {
    network = { vpc_connector = "projects/test-project/locations/europe-west1/connectors/c" }
  }

  assert {
    condition = alltrue([
      google_cloudfunctions2_function.main.service_config[0].vpc_connector == "projects/test-project/locations/europe-west1/connectors/c",
      google_cloudfunctions2_function.main.service_config[0].vpc_connector_egress_settings == "PRIVATE_RANGES_ONLY",
      length(google_cloudfunctions2_function.main.service_config[0].direct_vpc_network_interface) == 0,
    ])
    error_message = "a connector"
  }
}

run "it_builds_in_a_private_pool_and_is_admitted_by_a_policy" {
  command = plan

  variables {
    build = {
      binary_authorization = "default"
      worker_pool          = "projects/ci-project/locations/europe-west1/workerPools/pool"
    }
  }

  assert {
    condition = alltrue([
      google_cloudfunctions2_function.main.build_config[0].worker_pool == "projects/ci-project/locations/europe-west1/workerPools/pool",
      google_cloudfunctions2_function.main.service_config[0].binary_authorization_policy == "default",
    ])
    error_message = "pool and policy"
  }
}

run "a_release_in_a_bucket_is_built_as_it_lies_there" {
  command = plan

  variables {
    source_archive = "gs://releases/x/x-conversions-9.8.7.zip"
  }

  assert {
    condition = alltrue([
      length(google_storage_bucket.source) == 0,
      length(data.archive_file.source) == 0,
      google_cloudfunctions2_function.main.build_config[0].source[0].storage_source[0].bucket == "releases",
      google_cloudfunctions2_function.main.build_config[0].source[0].storage_source[0].object == "x/x-conversions-9.8.7.zip",
      google_cloudfunctions2_function.main.labels.version == "9-8-7",
      google_storage_bucket_iam_member.build.condition[0].expression == "resource.name == \"projects/_/buckets/releases/objects/x/x-conversions-9.8.7.zip\"",
    ])
    error_message = "nothing is packed or uploaded"
  }
}

run "an_alert_is_tuned_by_its_key" {
  command = plan

  variables {
    notification_channels = ["projects/test-project/notificationChannels/1"]
    alerts = {
      oldest_event = { threshold = 7200, notification_channels = ["projects/test-project/notificationChannels/2"] }
      silence      = { enabled = false }
    }
  }

  assert {
    condition = alltrue([
      !contains(keys(google_monitoring_alert_policy.main), "silence"),
      length(google_monitoring_alert_policy.main) == 12,
      strcontains(google_monitoring_alert_policy.main["oldest_event"].conditions[0].condition_prometheus_query_language[0].query, "> 7200 or"),
      strcontains(google_logging_metric.main["old_events"].filter, "oldest_event_age_s>7200"),
      google_monitoring_alert_policy.main["oldest_event"].notification_channels[0] == "projects/test-project/notificationChannels/2",
      google_monitoring_alert_policy.main["crashes"].notification_channels[0] == "projects/test-project/notificationChannels/1",
    ])
    error_message = "enabled, threshold and channels"
  }
}

run "what_costs_says_whose_it_is" {
  command = plan

  variables {
    labels = { team = "marketing" }
  }

  assert {
    condition     = google_pubsub_topic.remainder.labels == tomap({ application = "x-conversions", team = "marketing" })
    error_message = "bills are sorted by labels"
  }
}
