# Computed values are random under a mock; what IAM members, addresses and ids are made of must look like the real thing.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_resource "google_service_account" {
    defaults = {
      email  = "somebody@test-project.iam.gserviceaccount.com"
      id     = "projects/test-project/serviceAccounts/somebody@test-project.iam.gserviceaccount.com"
      member = "serviceAccount:somebody@test-project.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/test-project/topics/some-topic" }
  }
  mock_resource "google_artifact_registry_repository" {
    defaults = { id = "projects/test-project/locations/europe-west1/repositories/x-conversions" }
  }
}
variables {
  project_id = "test-project"
  region     = "europe-west1"
  pixels     = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" } } }
}

run "a_project_number_is_no_project_id" {
  command = plan

  variables {
    project_id = "123456789012"
  }

  expect_failures = [var.project_id]
}

run "a_zone_is_no_region" {
  command = plan

  variables {
    region = "europe-west1-b"
  }

  expect_failures = [var.region]
}

run "a_name_too_long_for_a_service_account" {
  command = plan

  variables {
    name = "x-conversions-of-all-shops"
  }

  expect_failures = [var.name]
}

run "a_tag_of_another_pixel" {
  command = plan

  variables {
    pixels = { o8z6j = { event_ids = { purchase = "tw-p9q7k-p9q31" } } }
  }

  expect_failures = [var.pixels]
}

run "a_deadline_too_short_to_settle_in" {
  command = plan

  variables {
    delivery = { ack_deadline_s = 69 }
  }

  expect_failures = [var.delivery]
}

run "less_memory_than_the_function_needs" {
  command = plan

  variables {
    function = { memory = "256Mi" }
  }

  expect_failures = [var.function]
}

run "a_key_of_another_region" {
  command = plan

  variables {
    kms_key_name = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
  }

  expect_failures = [var.kms_key_name]
}

run "a_label_in_capitals" {
  command = plan

  variables {
    labels = { Team = "marketing" }
  }

  expect_failures = [var.labels]
}

run "an_address_is_no_notification_channel" {
  command = plan

  variables {
    notification_channels = ["ops@example.com"]
  }

  expect_failures = [var.notification_channels]
}

run "anybody_as_a_publisher" {
  command = plan

  variables {
    publishers = ["allUsers"]
  }

  expect_failures = [var.publishers]
}

run "a_runbook_with_a_fragment" {
  command = plan

  variables {
    runbook_url = "https://git.example.com/operations.md#alerts"
  }

  expect_failures = [var.runbook_url]
}

run "consent_misspelt" {
  command = plan

  variables {
    settings = { consent = "respct" }
  }

  expect_failures = [var.settings]
}

run "a_configuration_too_long_for_an_environment_variable" {
  command = plan

  variables {
    pixels = { for number in range(400) : "p${number}" => { event_ids = { purchase = "tw-p${number}-purchase" } } }
  }

  expect_failures = [google_cloudfunctions2_function.main]
}
