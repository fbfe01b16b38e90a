locals {
  runbook     = file("${local.repository}/docs/operations.md")
  runbook_url = coalesce(var.runbook_url, "docs/operations.md")

  events_subscription       = "monitored_resource=\"pubsub_subscription\",subscription_id=\"${var.name}\""
  pushing_subscriptions     = "monitored_resource=\"pubsub_subscription\",subscription_id=~\"${var.name}|${var.name}-remainder\""
  dead_letters_subscription = "monitored_resource=\"pubsub_subscription\",subscription_id=\"${var.name}-dead-letter\""

  # What each alert counts stands in README.md, "Alerts".
  thresholds = {
    for key, default in {
      configuration_invalid = 0
      crashes               = 0
      dead_letters          = 0
      dead_letters_waiting  = min(86400, var.dead_letters.retention_days * 86400 / 2)
      dry_run               = 0
      keys_refused          = 0
      nothing_delivered     = 100
      oldest_event          = 3600
      push_errors           = 0.1
      refuses_everything    = 0
      retention             = 0.8
      silence               = 12
      unreadable_consent    = 10
    } : key => coalesce(try(var.alerts[key].threshold, null), default)
  }

  # In whole seconds: 0.3 of a week is a number of a hundred digits otherwise.
  near_retention_s = floor(local.thresholds.retention * var.delivery.retention_days * 86400 + 0.5)

  # A log-based metric of which nothing was ever written has no series, and a sum of none is nothing: here it is 0.
  in_10_minutes = { for name, _ in local.log_metrics : name => "(sum(increase(${local.log_metric_prefix}${name}${local.log_metrics[name].value == null ? "" : "_sum"}{${local.of_the_function}}[10m])) or vector(0))" }
  in_12_hours   = { for name, query in local.in_10_minutes : name => replace(query, "[10m]", "[12h]") }
  in_an_hour    = { for name, query in local.in_10_minutes : name => replace(query, "[10m]", "[1h]") }
  crashes       = "${local.in_10_minutes.crashes} + ${local.in_10_minutes.instances_killed} + (sum(increase(run_googleapis_com:request_count{${local.of_the_function},response_code_class=\"5xx\",response_code!=\"503\"}[10m])) or vector(0))"
  oldest        = "(max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.pushing_subscriptions}}) or vector(0))"

  # Pub/Sub's counts show up to three minutes after the log's, or before them where the log is late. Taken two minutes ago,
  # they lie between the log's of now and of six minutes ago, whose larger one is what they are compared with: else each
  # outage would end with nacks that seem to have no line. In a quarter of an hour the rarest retry comes once, at least.
  all_pushes    = "sum(increase(pubsub_googleapis_com:subscription_push_request_count{${local.pushing_subscriptions}}[15m] offset 2m))"
  failed_pushes = replace(local.all_pushes, "}[", ",response_class!=\"ack\"}[")
  nacks_now     = replace(local.in_10_minutes.deferred, "[10m]", "[15m]")
  nacks_before  = replace(local.nacks_now, "[15m]", "[15m] offset 6m")
  nacks         = "(${local.nacks_now} >= ${local.nacks_before} or ${local.nacks_before})"

  # By key: title, which is also the heading of its section in the runbook; log entries that show the cause; and a query.
  alerts = {
    configuration_invalid = {
      title    = "The configuration is invalid"
      severity = "CRITICAL"
      duration = "0s"
      logs     = "jsonPayload.event=\"configuration.invalid\""
      query    = "${local.in_10_minutes.configuration_invalid} > ${local.thresholds.configuration_invalid}"
    }
    crashes = {
      title    = "The function crashes"
      severity = "ERROR"
      duration = "0s"
      logs     = "(jsonPayload.event=~\"[.]crashed$\" OR log_id(\"run.googleapis.com/varlog/system\"))"
      # A 503 is how the function nacks, and it nacks after a crash as well: the log tells the two apart.
      # A start that stops at its configuration ends the process too, and has an alert of its own.
      query = "${local.crashes} > ${local.thresholds.crashes} and ${replace(local.in_10_minutes.configuration_invalid, "[10m]", "[20m]")} == 0"
    }
    dead_letters = {
      title    = "Dead letters appear"
      severity = "WARNING"
      duration = "0s"
      logs     = "jsonPayload.event=~\"^event[.]\""
      # Those of refused keys have an alert of their own.
      query = "${join(" + ", [for reason in local.dead_letter_reasons : local.in_10_minutes[reason] if reason != "unauthorized"])} + (sum(increase(pubsub_googleapis_com:subscription_dead_letter_message_count{${local.pushing_subscriptions}}[10m])) or vector(0)) > ${local.thresholds.dead_letters}"
    }
    dead_letters_waiting = {
      title    = "Dead letters wait"
      severity = "WARNING"
      duration = "0s"
      logs     = "jsonPayload.event=\"dead_letters.published\""
      query    = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.dead_letters_subscription}}) > ${local.thresholds.dead_letters_waiting}"
    }
    dry_run = {
      title    = "A dry run is left on"
      severity = "ERROR"
      duration = "0s"
      logs     = "jsonPayload.dry_run:*"
      # Somebody who tries it for an hour knows. The two windows do not touch: one short trial is not in both, and between
      # two trials something is delivered. The second is long, for a shop with an event every few hours.
      query = "${local.in_an_hour.dry_run} > ${local.thresholds.dry_run} and ${replace(local.in_an_hour.dry_run, "[1h]", "[10h] offset 2h")} > ${local.thresholds.dry_run} and ${replace(local.in_an_hour.delivered, "[1h]", "[2h]")} == 0"
    }
    keys_refused = {
      title    = "X refuses the keys"
      severity = "CRITICAL"
      duration = "0s"
      logs     = "jsonPayload.event=(\"batch.unauthorized\" OR \"credentials.unavailable\")"
      # By what became of events, not by answers: keys that are rotated are refused once, and nothing comes of it.
      query = "${local.in_10_minutes.unauthorized} + ${replace(local.in_10_minutes.deferred, "}[", ",cause=~\"unauthorized|credentials_unavailable\"}[")} > ${local.thresholds.keys_refused}"
    }
    nothing_delivered = {
      title    = "Nothing is delivered"
      severity = "ERROR"
      duration = "0s"
      logs     = "jsonPayload.event=\"delivery.settled\""
      # All that arrives is skipped. Where events wait, are refused or discarded, other alerts say so.
      query = "${local.in_12_hours.skipped} > ${local.thresholds.nothing_delivered} and ${local.in_12_hours.delivered} + ${local.in_12_hours.deferred} + ${local.in_12_hours.dead_letters_published} + ${local.in_12_hours.dry_run} == 0"
    }
    oldest_event = {
      title    = "Oldest event"
      severity = "ERROR"
      duration = "300s"
      logs     = "jsonPayload.event=\"delivery.deferred\""
      # Pub/Sub's age of a remainder begins anew with each: the function knows when its events were first published.
      query = "${local.oldest} > ${local.thresholds.oldest_event} or ${local.in_10_minutes.old_events} > 0"
    }
    push_errors = {
      title    = "Push errors"
      severity = "ERROR"
      # Longer than the window and a deploy together.
      duration = "1200s"
      logs     = "log_id(\"run.googleapis.com/requests\") httpRequest.status>=400"
      # Pushes that failed and that the function did not nack: its nacks are on purpose, and each has its line. Nor what a
      # crash took along: that has an alert.
      query = "(${local.failed_pushes} - ${local.nacks}) / ${local.all_pushes} > ${local.thresholds.push_errors} and ${replace(local.crashes, "[10m]", "[20m]")} == 0"
    }
    refuses_everything = {
      title    = "X refuses everything"
      severity = "CRITICAL"
      duration = "0s"
      logs     = "jsonPayload.event=(\"pixel.refuses_everything\" OR \"batch.refused\")"
      query    = "${local.in_10_minutes.refuses_everything} > ${local.thresholds.refuses_everything}"
    }
    retention = {
      title    = "Retention runs out"
      severity = "CRITICAL"
      duration = "0s"
      logs     = "jsonPayload.event=\"delivery.deferred\""
      query    = "${local.oldest} > ${local.near_retention_s} or ${local.in_10_minutes.near_retention} > 0"
    }
    silence = {
      title    = "Nothing arrives"
      severity = "WARNING"
      duration = "0s"
      logs     = "jsonPayload.event=(\"delivery.settled\" OR \"delivery.deferred\")"
      # Nothing for so many hours, after as many in which there was something.
      query = "(sum(increase(pubsub_googleapis_com:subscription_push_request_count{${local.events_subscription}}[${local.thresholds.silence}h])) or vector(0)) == 0 and sum(increase(pubsub_googleapis_com:subscription_push_request_count{${local.events_subscription}}[${local.thresholds.silence}h] offset ${local.thresholds.silence}h)) > 0"
    }
    unreadable_consent = {
      title    = "Unreadable consent"
      severity = "WARNING"
      duration = "0s"
      logs     = "jsonPayload.unreadable_consent>0"
      query    = "${local.in_an_hour.unreadable_consent} > ${local.thresholds.unreadable_consent}"
    }
  }

  alert_anchors = { for key, alert in local.alerts : key => lower(replace(alert.title, " ", "-")) }
  # A section ends where the next heading begins; its links within the page lead to the page, its names become ours.
  alert_sections = {
    for key, alert in local.alerts : key =>
    replace(replace(trimspace(regex("(?s)\n### ${alert.title}\n(.*?)\n##", local.runbook)[0]), "x-conversions", var.name), "](#", "](${local.runbook_url}#")
  }
}

# Each alert brings its section of the runbook along: whoever is woken has it at hand.
resource "google_monitoring_alert_policy" "main" {
  for_each = { for key, alert in local.alerts : key => alert if try(var.alerts[key].enabled, true) }

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = try(coalesce(var.alerts[each.key].notification_channels), var.notification_channels)
  severity              = each.value.severity
  user_labels           = local.labels

  conditions {
    display_name = each.value.title

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
    subject   = "${var.name} in ${var.project_id}: ${each.value.title}"
    content   = "${local.alert_sections[each.key]}\n\nRunbook: ${local.runbook_url}#${local.alert_anchors[each.key]}"

    links {
      display_name = "Logs Explorer: what led to it"
      url          = "https://console.cloud.google.com/logs/query;query=${replace(urlencode("${local.function_logs} ${each.value.logs}"), "+", "%20")}?project=${var.project_id}"
    }

    dynamic "links" {
      for_each = var.runbook_url[*]

      content {
        display_name = "Runbook: ${each.value.title}"
        url          = "${links.value}#${local.alert_anchors[each.key]}"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_logging_metric.main]
}

# Until 0.1 they were named by their titles.
moved {
  from = google_monitoring_alert_policy.main["Dead letters appear"]
  to   = google_monitoring_alert_policy.main["dead_letters"]
}

moved {
  from = google_monitoring_alert_policy.main["Dead letters wait"]
  to   = google_monitoring_alert_policy.main["dead_letters_waiting"]
}

moved {
  from = google_monitoring_alert_policy.main["Function errors"]
  to   = google_monitoring_alert_policy.main["crashes"]
}

moved {
  from = google_monitoring_alert_policy.main["Oldest unacked message"]
  to   = google_monitoring_alert_policy.main["oldest_event"]
}

moved {
  from = google_monitoring_alert_policy.main["Push errors"]
  to   = google_monitoring_alert_policy.main["push_errors"]
}

moved {
  from = google_monitoring_alert_policy.main["X refuses the keys"]
  to   = google_monitoring_alert_policy.main["keys_refused"]
}
