mock_provider "google" {
  source = "../../tests/mocks"
}

variables {
  project_id      = "test-project"
  billing_account = "000000-000000-000000"
}

run "the_two_share_nothing" {
  command = apply

  assert {
    condition     = jsondecode(output.configs.staging).dry_run && !try(jsondecode(output.configs.production).dry_run, false)
    error_message = "staging alone must discard conversions"
  }
  assert {
    condition     = jsondecode(output.configs.staging).pixels.o8z6j.credentials != jsondecode(output.configs.production).pixels.o8z6j.credentials
    error_message = "each environment must have secrets of its own"
  }
  assert {
    condition     = google_billing_budget.both[0].budget_filter[0].labels == tomap({ product = "x-conversions" })
    error_message = "the budget must count what both are labelled with, and the provider takes one label"
  }
}

run "a_budget_needs_a_billing_account" {
  command = plan

  variables {
    billing_account = null
  }

  assert {
    condition     = length(google_billing_budget.both) == 0
    error_message = "without a billing account there must be no budget"
  }
}
