# Refusals as Terraform shows them, here where whole plans are made; tests/rollout/refusals.jsonl has the others, which need
# no provider.
mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id = "test-project"
  region     = "europe-west1"
  pixels     = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" } } }
}

run "a_zone_is_no_region" {
  command = plan

  variables {
    region = "europe-west1-b"
  }

  expect_failures = [var.region]
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

run "a_key_of_another_region" {
  command = plan

  variables {
    kms_key_name = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
  }

  expect_failures = [var.kms_key_name]
}

run "anybody_as_a_publisher" {
  command = plan

  variables {
    publishers = ["allUsers"]
  }

  expect_failures = [var.publishers]
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
    # Not one pixel for each: 400 secrets would be planned for ten seconds.
    pixels = { for number in range(20) : "p${number}" => { event_ids = { for event in range(60) : "event ${event}" => "tw-p${number}-event-${event}" } } }
  }

  expect_failures = [google_cloudfunctions2_function.main]
}

run "a_configuration_too_long_in_bytes_though_not_in_characters" {
  command = plan

  variables {
    pixels = { o8z6j = { event_ids = { for number in range(430) : "käuferäußerungsüberprüfungsäußerung größerer Vögel ${number}" => "tw-o8z6j-${number}" } } }
  }

  expect_failures = [google_cloudfunctions2_function.main]
}
