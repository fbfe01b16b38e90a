locals {
  # Names, not references: the plan then shows the whole configuration, and what depends on what is said elsewhere.
  dead_letter_topic_id = "projects/${var.project_id}/topics/${var.name}-dead-letter"
  remainder_topic_id   = "projects/${var.project_id}/topics/${var.name}-remainder"
  topic_name           = coalesce(var.existing.topic, "projects/${var.project_id}/topics/${var.name}")

  # Bills and searches are sorted by labels.
  labels = merge({ application = var.name }, var.labels)

  pixels_with_own_secret = { for pixel_id, pixel in var.pixels : pixel_id => "projects/${var.project_id}/secrets/${var.name}-${pixel_id}" if pixel.secret == null }
  # An existing secret may serve several pixels; NAME alone is one of this project.
  pixels_with_existing_secret = {
    for pixel_id, pixel in var.pixels :
    pixel_id => startswith(pixel.secret, "projects/") ? pixel.secret : "projects/${var.project_id}/secrets/${pixel.secret}" if pixel.secret != null
  }
  secret_ids = merge(local.pixels_with_own_secret, local.pixels_with_existing_secret)

  # X counts per ad account, the function per instance and pixel: each instance gets its share.
  rate_events_per_instance = floor(var.settings.rate.events / var.function.max_instances)

  # XCAPI_CONFIG. What is null is left out: there it means the default as well.
  configuration = {
    for key, value in merge(var.settings, {
      dead_letter_topic = local.dead_letter_topic_id
      remainder_topic   = local.remainder_topic_id
      pixels = {
        for pixel_id, pixel in var.pixels : pixel_id => {
          for key, value in {
            consent_categories = pixel.consent_categories
            conversion_id_from = pixel.conversion_id_from
            credentials        = "${local.secret_ids[pixel_id]}/versions/latest"
            event_ids          = pixel.event_ids
          } : key => value if value != null
        }
      }
      rate = merge(var.settings.rate, { events = local.rate_events_per_instance })
    }) : key => value if value != null
  }
}
