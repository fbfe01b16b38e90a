mock_provider "google" {
  source = "../../tests/mocks"
}

variables {
  project_id       = "test-project"
  container_config = "aWQ9R1RNLVhYWFg="
}

run "the_container_may_publish_and_nothing_else" {
  command = apply

  assert {
    condition     = google_cloud_run_v2_service.sgtm["tagging"].template[0].service_account == google_service_account.container.email
    error_message = "the tagging server must run as the identity that may publish"
  }
  assert {
    condition     = toset(keys(google_cloud_run_v2_service.sgtm)) == toset(["preview", "tagging"])
    error_message = "there must be a tagging and a preview server"
  }
  assert {
    condition     = strcontains(output.next_steps, "x-conversions-o8z6j")
    error_message = "next_steps must say where the keys go"
  }
}
