# The rules that come with tflint itself: plugins would be fetched from elsewhere at each run.
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# One file an entity (topics.tf, secrets.tf, …) instead of a main.tf.
rule "terraform_standard_module_structure" {
  enabled = false
}
