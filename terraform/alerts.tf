locals {
  runbook     = file("${local.repository}/docs/operations.md")
  runbook_url = coalesce(var.runbook_url, "docs/operations.md")

  events_subscription       = "monitored_resource=\"pubsub_subscription\",subscription_id=\"${var.name}\""
  dead_letters_subscription = "monitored_resource=\"pubsub_subscription\",subscription_id=\"${var.name}-dead-letter\""

  # By the heading of its section in the runbook.
  alerts = {
    "Dead letters appear" = {
      severity = "WARNING"
      duration = "0s"
      query    = "sum(increase(pubsub_googleapis_com:subscription_dead_letter_message_count{${local.events_subscription}}[10m])) > 0 or sum(increase(${local.log_metric_prefix}dead_letters_published_sum{${local.of_the_function}}[10m])) > 0"
    }
    "Dead letters wait" = {
      severity = "WARNING"
      duration = "0s"
      query    = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.dead_letters_subscription}}) > 86400"
    }
    "Oldest unacked message" = {
      severity = "ERROR"
      duration = "300s"
      query    = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.events_subscription}}) > 900"
    }
    "Push errors" = {
      severity = "WARNING"
      duration = "900s"
      query    = "sum(rate(pubsub_googleapis_com:subscription_push_request_count{${local.events_subscription},response_class!=\"ack\"}[15m])) / sum(rate(pubsub_googleapis_com:subscription_push_request_count{${local.events_subscription}}[15m])) > 0.1"
    }
    "X refuses the keys" = {
      severity = "CRITICAL"
      duration = "0s"
      query    = "sum(increase(${local.log_metric_prefix}keys_refused{${local.of_the_function}}[10m])) > 0"
    }
    "Function errors" = {
      severity = "ERROR"
      duration = "0s"
      # A 503 is how the function nacks.
      query = "sum(increase(run_googleapis_com:request_count{${local.of_the_function},response_code_class=\"5xx\",response_code!=\"503\"}[10m])) > 0"
    }
  }

  alert_anchors = { for title, alert in local.alerts : title => lower(replace(title, " ", "-")) }
  # A section ends where the next heading begins; its links within the page lead to the page, its names become ours.
  alert_sections = {
    for title, alert in local.alerts : title =>
    replace(replace(trimspace(regex("(?s)\n### ${title}\n(.*?)\n##", local.runbook)[0]), "x-conversions", var.name), "](#", "](${local.runbook_url}#")
  }
}

# Each alert brings its section of the runbook along: whoever is woken has it at hand.
resource "google_monitoring_alert_policy" "main" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  severity              = each.value.severity
  user_labels           = var.labels

  conditions {
    display_name = each.key

    # PromQL without validation: for minutes after a log-based metric was made, a filter on it would be refused.
    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = each.value.duration
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name} in ${var.project_id}: ${each.key}"
    content   = "${local.alert_sections[each.key]}\n\nRunbook: ${local.runbook_url}#${local.alert_anchors[each.key]}"

    dynamic "links" {
      for_each = var.runbook_url[*]

      content {
        display_name = "Runbook: ${each.key}"
        url          = "${links.value}#${local.alert_anchors[each.key]}"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_logging_metric.main]
}
