mock_provider "google" {
  source = "../../tests/mocks"
}

variables {
  project_id = "test-project"
}

run "each_pixel_has_a_secret_of_its_own" {
  command = apply

  assert {
    condition     = sort(keys(output.secret_ids)) == tolist(["o8z6j", "p9q7k"])
    error_message = "both pixels must have a secret"
  }
  assert {
    condition     = length(distinct(values(output.secret_ids))) == 2
    error_message = "the secrets must be two"
  }
}
