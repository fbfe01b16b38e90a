variable "alerts" {
  description = "Tunes an alert, by its key: `enabled`, `threshold` (the table in README.md says what it counts, and its default) and `notification_channels` instead of the module's. Keys: `configuration_invalid`, `crashes`, `dead_letters`, `dead_letters_waiting`, `dry_run`, `keys_refused`, `nothing_delivered`, `oldest_event`, `push_errors`, `refuses_everything`, `retention`, `silence`, `unreadable_consent`."
  type = map(object({
    enabled               = optional(bool, true)
    notification_channels = optional(list(string))
    threshold             = optional(number)
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue([for key, _ in var.alerts : contains([
      "configuration_invalid", "crashes", "dead_letters", "dead_letters_waiting", "dry_run", "keys_refused", "nothing_delivered",
      "oldest_event", "push_errors", "refuses_everything", "retention", "silence", "unreadable_consent",
    ], key)])
    error_message = "alerts must have alert keys: configuration_invalid, crashes, dead_letters, dead_letters_waiting, dry_run, keys_refused, nothing_delivered, oldest_event, push_errors, refuses_everything, retention, silence or unreadable_consent."
  }
  validation {
    condition     = alltrue([for alert in var.alerts : alert != null])
    error_message = "alerts must have an object for each key: {} at least."
  }
  validation {
    condition     = alltrue([for alert in var.alerts : try(alert.threshold, null) == null ? true : alert.threshold >= 0])
    error_message = "alerts.….threshold must not be negative."
  }
  validation {
    condition     = alltrue([for key, alert in var.alerts : try(alert.threshold, null) == null ? true : alert.threshold > 0 && alert.threshold < 1 if contains(["push_errors", "retention"], key)])
    error_message = "alerts.push_errors.threshold and alerts.retention.threshold must be shares, above 0 and below 1."
  }
  validation {
    condition     = try(var.alerts["silence"].threshold, null) == null ? true : var.alerts["silence"].threshold >= 1 && var.alerts["silence"].threshold <= 12 && floor(var.alerts["silence"].threshold) == var.alerts["silence"].threshold
    error_message = "alerts.silence.threshold must be a whole number of hours between 1 and 12: a condition looks back for twice as long, and Cloud Monitoring for a day at most."
  }
  validation {
    condition     = try(var.alerts["oldest_event"].threshold, null) == null ? true : var.alerts["oldest_event"].threshold > 0 && var.alerts["oldest_event"].threshold < var.delivery.retention_days * 86400
    error_message = "alerts.oldest_event.threshold must be seconds, above 0 and less than delivery.retention_days: what is older is gone, and nothing would fire."
  }
  validation {
    condition     = try(var.alerts["dead_letters_waiting"].threshold, null) == null ? true : var.alerts["dead_letters_waiting"].threshold > 0 && var.alerts["dead_letters_waiting"].threshold < var.dead_letters.retention_days * 86400
    error_message = "alerts.dead_letters_waiting.threshold must be seconds, above 0 and less than dead_letters.retention_days: what is older is gone, and nothing would fire."
  }
  validation {
    condition     = alltrue(flatten([for alert in var.alerts : [for channel in coalesce(try(alert.notification_channels, null), []) : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))]]))
    error_message = "alerts.….notification_channels must be full names: projects/PROJECT/notificationChannels/NUMBER (gcloud beta monitoring channels list)."
  }
}

variable "build" {
  description = "How the function is built and admitted: `worker_pool`, a private Cloud Build pool by its full id (where that is another project's, the Cloud Functions service agent needs Cloud Build Custom Workers Builder there), and `binary_authorization`, `default` or a policy's id."
  type = object({
    binary_authorization = optional(string)
    worker_pool          = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.build.worker_pool == null ? true : can(regex("^projects/[^/\\s]+/locations/[^/\\s]+/workerPools/[^/\\s]+$", var.build.worker_pool))
    error_message = "build.worker_pool must be a pool's full id: projects/PROJECT/locations/REGION/workerPools/NAME."
  }
  validation {
    condition     = var.build.worker_pool == null ? true : try(split("/", var.build.worker_pool)[3] == var.region, true)
    error_message = "build.worker_pool must be a pool in the module's region: Cloud Functions builds there."
  }
  validation {
    condition     = var.build.binary_authorization == null ? true : can(regex("^(default|projects/[^/\\s]+/platforms/cloudRun/policies/[^/\\s]+)$", var.build.binary_authorization))
    error_message = "build.binary_authorization must be \"default\" or a policy's id: projects/PROJECT/platforms/cloudRun/policies/NAME."
  }
}

variable "dead_letters" {
  description = "Dead letters are events, with the personal data in them: how long they wait (`retention_days`), who may look at them and take them out (`readers`), and who may also send them again, by the remainder topic (`replayers`). Both are IAM members."
  type = object({
    readers        = optional(list(string), [])
    replayers      = optional(list(string), [])
    retention_days = optional(number, 31)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.dead_letters.retention_days >= 1 && var.dead_letters.retention_days <= 31 && floor(var.dead_letters.retention_days) == var.dead_letters.retention_days
    error_message = "dead_letters.retention_days must be a whole number between 1 and 31; Pub/Sub keeps messages for at most 31 days."
  }
  validation {
    condition     = alltrue([for member in concat(var.dead_letters.readers, var.dead_letters.replayers) : can(regex("^(user|serviceAccount|group|domain):[^:\\s]+$|^(principal|principalSet)://\\S+$", member))])
    error_message = "dead_letters.readers and replayers must be IAM members: user:…, serviceAccount:…, group:…, domain:…, principal://… or principalSet://…; allUsers would publish personal data."
  }
}

variable "deletion_protection" {
  description = "Whether secrets, topics and all subscriptions (they hold the keys and the events) are safe from being destroyed or replaced by mistake. To remove the module, set it to false, apply, then destroy."
  type        = bool
  default     = true
  nullable    = false
}

variable "delivery" {
  description = "How Pub/Sub delivers: `ack_deadline_s` (at least `settings.settle_timeout_s` + 20), `max_delivery_attempts` (every 429 and 503 counts as one: Pub/Sub's own default of 5 would dead-letter good events within minutes), `min_backoff_s`, `max_backoff_s`, `retention_days`, and `filter`, which is fixed when the subscription is made: changing it replaces the subscription and drops its backlog, which `deletion_protection` refuses."
  type = object({
    ack_deadline_s        = optional(number, 75)
    filter                = optional(string)
    max_backoff_s         = optional(number, 600)
    max_delivery_attempts = optional(number, 100)
    min_backoff_s         = optional(number, 10)
    retention_days        = optional(number, 7)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.delivery.ack_deadline_s >= var.settings.settle_timeout_s + 20
    error_message = "delivery.ack_deadline_s must be at least settings.settle_timeout_s + 20: the function answers within settle_timeout_s, and an answer after the deadline counts as a nack."
  }
  validation {
    condition     = var.delivery.ack_deadline_s <= 600 && floor(var.delivery.ack_deadline_s) == var.delivery.ack_deadline_s
    error_message = "delivery.ack_deadline_s must be a whole number of at most 600, the longest that Pub/Sub accepts."
  }
  validation {
    # In bytes: of four characters in base64, three bytes, less one for each "=".
    condition     = var.delivery.filter == null ? true : trimspace(var.delivery.filter) != "" && length(base64encode(var.delivery.filter)) / 4 * 3 - length(regexall("=", base64encode(var.delivery.filter))) <= 256
    error_message = "delivery.filter must have between 1 and 256 bytes, the length Pub/Sub accepts, and not be blank; leave it out for no filter."
  }
  validation {
    condition     = var.delivery.max_delivery_attempts >= 5 && var.delivery.max_delivery_attempts <= 100 && floor(var.delivery.max_delivery_attempts) == var.delivery.max_delivery_attempts
    error_message = "delivery.max_delivery_attempts must be a whole number between 5 and 100, the range Pub/Sub accepts."
  }
  validation {
    condition     = var.delivery.min_backoff_s >= 0 && var.delivery.min_backoff_s <= var.delivery.max_backoff_s && var.delivery.max_backoff_s <= 600 && floor(var.delivery.min_backoff_s) == var.delivery.min_backoff_s && floor(var.delivery.max_backoff_s) == var.delivery.max_backoff_s
    error_message = "delivery.min_backoff_s and max_backoff_s must be whole numbers from 0 to 600, the range Pub/Sub accepts, and the first not above the second."
  }
  validation {
    condition     = var.delivery.retention_days >= 1 && var.delivery.retention_days <= 31 && floor(var.delivery.retention_days) == var.delivery.retention_days
    error_message = "delivery.retention_days must be a whole number between 1 and 31; Pub/Sub keeps messages for at most 31 days."
  }
}

variable "existing" {
  description = "What you have already, used instead of made: `topic` (full id) that publishers publish to, `run_service_account`, `push_service_account` and `build_service_account` (e-mail addresses), `artifact_repository` (full id) for the function's image. The module still makes the grants that each needs. They must be known at plan: names, not attributes of resources that the same apply makes."
  type = object({
    artifact_repository   = optional(string)
    build_service_account = optional(string)
    push_service_account  = optional(string)
    run_service_account   = optional(string)
    topic                 = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.existing.artifact_repository == null ? true : can(regex("^projects/[^/\\s]+/locations/[^/\\s]+/repositories/[^/\\s]+$", var.existing.artifact_repository))
    error_message = "existing.artifact_repository must be a repository's full id: projects/PROJECT/locations/REGION/repositories/NAME."
  }
  validation {
    condition     = var.existing.artifact_repository == null ? true : try(split("/", var.existing.artifact_repository)[1] == var.project_id && split("/", var.existing.artifact_repository)[3] == var.region, true)
    error_message = "existing.artifact_repository must be a repository of the module's project and region: Cloud Functions accepts no other."
  }
  validation {
    condition     = alltrue([for account in [var.existing.build_service_account, var.existing.push_service_account, var.existing.run_service_account] : account == null ? true : can(regex("^[a-z0-9-]+@[a-z0-9.-]+\\.gserviceaccount\\.com$", account))])
    error_message = "existing.….service_account must be e-mail addresses: NAME@PROJECT.iam.gserviceaccount.com, without \"serviceAccount:\" before it."
  }
  validation {
    # Those that the module would make have names as well.
    condition     = length(distinct([for duty, account in { build = var.existing.build_service_account, push = var.existing.push_service_account, run = var.existing.run_service_account } : coalesce(account, "${var.name}-${duty}@${var.project_id}.iam.gserviceaccount.com")])) == 3
    error_message = "existing.….service_account must be different accounts, and none that the module makes for another duty: one that does everything may do everything."
  }
  validation {
    condition     = var.existing.topic == null ? true : can(regex("^projects/[^/\\s]+/topics/[^/\\s]+$", var.existing.topic))
    error_message = "existing.topic must be a topic's full id: projects/PROJECT/topics/NAME."
  }
  validation {
    condition     = var.existing.topic == null ? true : !contains([local.dead_letter_topic_id, local.remainder_topic_id], var.existing.topic)
    error_message = "existing.topic must not be the module's own topic for dead letters or remainders: what is published there would come back to the function again and again."
  }
}

variable "function" {
  description = "The function's size: `runtime`, `cpu`, `memory`, `concurrency`, `min_instances`, `max_instances`. One instance carries many times X's budget and remembers what was delivered; more of them share the rate budget, and a redelivery to another may repeat a conversion."
  type = object({
    concurrency   = optional(number, 500)
    cpu           = optional(number, 1)
    max_instances = optional(number, 1)
    memory        = optional(string, "1Gi")
    min_instances = optional(number, 0)
    runtime       = optional(string, "python313")
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.function.concurrency >= 1 && var.function.concurrency <= 1000 && floor(var.function.concurrency) == var.function.concurrency
    error_message = "function.concurrency must be a whole number between 1 and 1000, the range Cloud Run accepts."
  }
  validation {
    condition     = contains([1, 2, 4, 6, 8], var.function.cpu)
    error_message = "function.cpu must be 1, 2, 4, 6 or 8: Cloud Run allows concurrent requests only from one whole CPU on."
  }
  validation {
    condition     = var.function.max_instances >= 1 && var.function.max_instances <= 1000 && floor(var.function.max_instances) == var.function.max_instances
    error_message = "function.max_instances must be a whole number between 1 and 1000."
  }
  validation {
    condition     = var.function.min_instances >= 0 && var.function.min_instances <= var.function.max_instances && floor(var.function.min_instances) == var.function.min_instances
    error_message = "function.min_instances must be a whole number from 0 to function.max_instances."
  }
  validation {
    condition     = can(regex("^[1-9][0-9]{0,5}(Mi|Gi)$", var.function.memory))
    error_message = "function.memory must be a number of Mi or Gi, as \"512Mi\" or \"1Gi\"."
  }
  validation {
    # Measured: the process takes 120 MB by itself, the deliveries that it admits at once up to 300 MB.
    condition     = try(tonumber(regex("^[0-9]+", var.function.memory)) * (endswith(var.function.memory, "Gi") ? 1024 : 1) >= 512, true)
    error_message = "function.memory must be at least 512Mi: the process and the deliveries that it admits at once take 420 MB."
  }
  validation {
    condition     = try(tonumber(regex("^[0-9]+", var.function.memory)) * (endswith(var.function.memory, "Gi") ? 1024 : 1) <= { "1" = 4096, "2" = 8192, "4" = 16384, "6" = 24576, "8" = 32768 }[tostring(var.function.cpu)], true)
    error_message = "function.memory must be at most 4Gi a CPU, the ratio that Cloud Run accepts."
  }
  validation {
    condition     = try(tonumber(regex("^[0-9]+", var.function.memory)) * (endswith(var.function.memory, "Gi") ? 1024 : 1) >= { "4" = 2048, "6" = 4096, "8" = 4096 }[tostring(var.function.cpu)], true)
    error_message = "function.memory must be at least 2Gi with 4 CPUs and 4Gi with 6 or 8, the ratio that Cloud Run accepts."
  }
  validation {
    condition     = contains(["python311", "python312", "python313"], var.function.runtime)
    error_message = "function.runtime must be python311, python312 or python313, the versions that the function is tested on."
  }
}

variable "kms_key_name" {
  description = "A Cloud KMS key (`projects/…/locations/REGION/keyRings/…/cryptoKeys/…`) that encrypts topics, secrets, source, image and function. The service agents that use it must exist before: docs/deploy.md names the command."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_name == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key_name))
    error_message = "kms_key_name must be a key's full name: projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY."
  }
  validation {
    condition     = var.kms_key_name == null ? true : try(split("/", var.kms_key_name)[3] == var.region, true)
    error_message = "kms_key_name must be a key in the module's region: secrets, topics and the function's image are kept there."
  }
}

variable "labels" {
  description = "Labels for every resource that can have them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels must have keys and values of at most 63 small letters, digits, _ and -, the keys beginning with a letter."
  }
  validation {
    condition     = length(var.labels) <= 60
    error_message = "labels must be at most 60: Google Cloud accepts 64, and some are its own."
  }
}

variable "name" {
  description = "What everything is called, or begins with."
  type        = string
  default     = "x-conversions"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 small letters, digits and hyphens, and begin with a letter: a service account's name, which is this and a suffix, has at most 30."
  }
  validation {
    condition     = !strcontains(var.name, "goog")
    error_message = "name must not contain \"goog\": Google keeps such names of topics and buckets for itself."
  }
}

variable "network" {
  description = "How the function reaches X: by default directly to the internet. `vpc_connector` (full id) or `direct_vpc` (`network` or `subnetwork` or both, `tags`) take `egress`, PRIVATE_RANGES_ONLY or ALL_TRAFFIC, through your network; with ALL_TRAFFIC it needs Cloud NAT, and Private Google Access for Pub/Sub and Secret Manager. Of a host project's network, the Cloud Functions service agent needs Serverless VPC Access User (`vpc_connector`), or the Cloud Run service agent Compute Network User (`direct_vpc`) there."
  type = object({
    direct_vpc = optional(object({
      network    = optional(string)
      subnetwork = optional(string)
      tags       = optional(list(string), [])
    }))
    egress        = optional(string)
    vpc_connector = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.network.vpc_connector == null || var.network.direct_vpc == null
    error_message = "network must have vpc_connector or direct_vpc, not both."
  }
  validation {
    condition     = var.network.vpc_connector == null ? true : can(regex("^projects/[^/\\s]+/locations/[^/\\s]+/connectors/[^/\\s]+$", var.network.vpc_connector))
    error_message = "network.vpc_connector must be a connector's full id: projects/PROJECT/locations/REGION/connectors/NAME."
  }
  validation {
    condition     = var.network.vpc_connector == null ? true : try(split("/", var.network.vpc_connector)[3] == var.region, true)
    error_message = "network.vpc_connector must be a connector in the module's region."
  }
  validation {
    condition     = var.network.direct_vpc == null ? true : can(coalesce(var.network.direct_vpc.network, var.network.direct_vpc.subnetwork))
    error_message = "network.direct_vpc must name a network, a subnetwork or both."
  }
  validation {
    condition     = var.network.direct_vpc == null ? true : alltrue([for name in [var.network.direct_vpc.network, var.network.direct_vpc.subnetwork] : name == null ? true : can(regex("^\\S*$", name))])
    error_message = "network.direct_vpc.network and subnetwork must be names or full ids, without space."
  }
  validation {
    condition     = var.network.direct_vpc == null ? true : alltrue([for tag in var.network.direct_vpc.tags : can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", tag))])
    error_message = "network.direct_vpc.tags must be network tags: 1 to 63 small letters, digits and hyphens, beginning with a letter and not ending in a hyphen."
  }
  validation {
    condition     = var.network.egress == null ? true : contains(["PRIVATE_RANGES_ONLY", "ALL_TRAFFIC"], var.network.egress)
    error_message = "network.egress must be PRIVATE_RANGES_ONLY or ALL_TRAFFIC."
  }
  validation {
    condition     = var.network.egress == null || var.network.vpc_connector != null || var.network.direct_vpc != null
    error_message = "network.egress must come with vpc_connector or direct_vpc: without them there is nothing to send traffic through."
  }
}

variable "notification_channels" {
  description = "Cloud Monitoring notification channels (`projects/…/notificationChannels/…`) that alerts go to."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "notification_channels must be full names: projects/PROJECT/notificationChannels/NUMBER (gcloud beta monitoring channels list)."
  }
}

variable "pixels" {
  description = "X pixels by id. `event_ids`: X's event tags by event name. `secret`: an existing Secret Manager secret (`NAME` or `projects/…/secrets/NAME`) that holds the keys; without it one is created, empty. `conversion_id_from` and `consent_categories`: as in the function's configuration."
  type = map(object({
    consent_categories = optional(list(string))
    conversion_id_from = optional(list(string))
    event_ids          = optional(map(string), {})
    secret             = optional(string)
  }))
  nullable = false

  validation {
    condition     = length(var.pixels) > 0
    error_message = "pixels must have at least one pixel."
  }
  validation {
    condition     = alltrue([for pixel_id, _ in var.pixels : can(regex("^[0-9a-z]{1,32}$", pixel_id))])
    error_message = "pixels must have pixel ids as keys: 1 to 32 digits and small letters, as o8z6j."
  }
  validation {
    condition     = alltrue([for pixel in var.pixels : pixel != null])
    error_message = "pixels must have an object for each pixel: {} at least."
  }
  validation {
    condition     = alltrue([for pixel in var.pixels : try(pixel.secret, null) == null ? true : can(regex("^(projects/[^/\\s]+/secrets/)?[A-Za-z0-9_-]{1,255}$", pixel.secret))])
    error_message = "pixels.….secret must be the name of an existing secret, NAME or projects/PROJECT/secrets/NAME, without a version, and never the keys themselves."
  }
  validation {
    condition     = alltrue(flatten([for pixel in var.pixels : [for name, tag in try(pixel.event_ids, {}) : can(regex("^[^\\pC\\pZ]([^\\pC\\p{Zl}\\p{Zp}\\x{a0}]*[^\\pC\\pZ])?$", tag)) && can(regex("^[^\\pC\\p{Zl}\\p{Zp}]*$", name)) && trimspace(name) != ""]]))
    error_message = "pixels.….event_ids must be event names with event tags, both printable, the tags without space around them."
  }
  validation {
    condition     = alltrue(flatten([for pixel_id, pixel in var.pixels : [for tag in values(try(pixel.event_ids, {})) : try(lower(regex("^(?i:tw)-([0-9A-Za-z]{1,16})-.", tag)[0]) == pixel_id, true)]]))
    error_message = "pixels.….event_ids must be tags of their own pixel: a tag of pixel o8z6j is tw-o8z6j-o87ne, or o87ne for short."
  }
  validation {
    # As the function compares names: without case, outer space, and with _ for space and -.
    condition     = alltrue([for pixel in var.pixels : alltrue([for tags in values({ for name, tag in try(pixel.event_ids, {}) : replace(replace(lower(trimspace(name)), "ß", "ss"), "/[ -]/", "_") => tag... }) : length(distinct(tags)) == 1])])
    error_message = "pixels.….event_ids must have one tag for one name: \"Sign Up\", \"sign-up\" and \"sign_up\" are the same name."
  }
  validation {
    condition     = alltrue(flatten([for pixel in var.pixels : [for text in concat(coalesce(try(pixel.conversion_id_from, null), []), coalesce(try(pixel.consent_categories, null), [])) : can(regex("^[^\\pC\\p{Zl}\\p{Zp}]*$", text)) && trimspace(coalesce(text, " ")) != ""]]))
    error_message = "pixels.….conversion_id_from and consent_categories must be lists of texts that are printable and not empty."
  }
}

variable "previous_kms_key_names" {
  description = "Keys that `kms_key_name` was before. Their grants stay while something written under them is left: secret versions, events that wait, images (docs/deploy.md, \"Another key\")."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for key in var.previous_kms_key_names : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", key))])
    error_message = "previous_kms_key_names must be keys' full names: projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id (not its name or number): 6 to 30 small letters, digits and hyphens."
  }
}

variable "publishers" {
  description = "IAM members that may publish events, as `serviceAccount:shop@my-project.iam.gserviceaccount.com`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.publishers : can(regex("^(user|serviceAccount|group|domain):[^:\\s]+$|^(principal|principalSet)://\\S+$", member))])
    error_message = "publishers must be IAM members: user:…, serviceAccount:…, group:…, domain:…, principal://… or principalSet://…; allUsers would let anybody report sales."
  }
}

variable "region" {
  description = "Where everything is kept and runs, as `europe-west1`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a Google Cloud region, as europe-west1; a zone or a multi-region is none."
  }
}

variable "runbook_url" {
  description = "Where your people read docs/operations.md, as `https://git.example.com/x-conversions/docs/operations.md`: each alert then links to its section there. Its text is in the alert either way."
  type        = string
  default     = null

  validation {
    condition     = var.runbook_url == null ? true : can(regex("^https?://[^\\s#]+$", var.runbook_url))
    error_message = "runbook_url must be an http(s) address without a #fragment: each alert adds its own."
  }
}

variable "settings" {
  description = "The function's settings, under the names of its configuration (README, \"Configure\"). `rate.events` is what all instances together may send for one pixel in `rate.window_s`: each gets its share. Terraform itself ignores misspelt keys here; `terraform plan` shows the resulting XCAPI_CONFIG."
  type = object({
    api_base_url = optional(string, "https://ads-api.x.com")
    api_version  = optional(string, "12")
    batch = optional(object({
      max_conversions = optional(number, 500)
      max_in_flight   = optional(number, 4)
    }), {})
    consent              = optional(string, "respect")
    default_currency     = optional(string)
    default_phone_region = optional(string)
    default_pixel        = optional(string)
    dry_run              = optional(bool, false)
    log_conversion_ids   = optional(string, "digest")
    max_event_age_hours  = optional(number)
    on_unauthorized      = optional(string, "dead_letter")
    rate = optional(object({
      events   = optional(number, 60000)
      window_s = optional(number, 900)
    }), {})
    request_timeout_s = optional(number, 10)
    settle_timeout_s  = optional(number, 50)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^(?i:https?://([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?/?)$", var.settings.api_base_url)) && try(tonumber(regex(":([0-9]{1,5})/?$", var.settings.api_base_url)[0]) >= 1 && tonumber(regex(":([0-9]{1,5})/?$", var.settings.api_base_url)[0]) <= 65535, true)
    error_message = "settings.api_base_url must be http(s)://HOST[:PORT] and nothing after it."
  }
  validation {
    condition     = !can(regex("^(?i:http://)", var.settings.api_base_url)) || can(regex("^(?i:http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])(:[0-9]{1,5})?/?)$", var.settings.api_base_url))
    error_message = "settings.api_base_url must be https, or http to a loopback address: a pixel token is its own proof."
  }
  validation {
    condition     = can(regex("^[0-9]{1,4}$", var.settings.api_version))
    error_message = "settings.api_version must be digits, as \"12\"."
  }
  validation {
    condition     = var.settings.batch.max_conversions >= 1 && var.settings.batch.max_conversions <= 500 && floor(var.settings.batch.max_conversions) == var.settings.batch.max_conversions
    error_message = "settings.batch.max_conversions must be a whole number between 1 and 500, the most that X takes in a request."
  }
  validation {
    condition     = var.settings.batch.max_in_flight >= 1 && var.settings.batch.max_in_flight <= 1000 && floor(var.settings.batch.max_in_flight) == var.settings.batch.max_in_flight
    error_message = "settings.batch.max_in_flight must be a whole number between 1 and 1000."
  }
  validation {
    condition     = contains(["respect", "require", "ignore"], var.settings.consent)
    error_message = "settings.consent must be \"respect\", \"require\" or \"ignore\"."
  }
  validation {
    condition     = var.settings.default_currency == null ? true : can(regex("^[A-Za-z]{3}$", var.settings.default_currency))
    error_message = "settings.default_currency must be a currency's ISO 4217 code, as \"EUR\"."
  }
  validation {
    condition     = var.settings.default_phone_region == null ? true : contains(local.phone_regions, upper(var.settings.default_phone_region))
    error_message = "settings.default_phone_region must be the ISO 3166 code of a region with phone numbers, as \"DE\"; the United Kingdom is GB."
  }
  validation {
    condition     = var.settings.default_pixel == null ? true : contains(keys(var.pixels), var.settings.default_pixel)
    error_message = "settings.default_pixel must be one of the keys of pixels."
  }
  validation {
    condition     = contains(["digest", "plain", "off"], var.settings.log_conversion_ids)
    error_message = "settings.log_conversion_ids must be \"digest\", \"plain\" or \"off\"."
  }
  validation {
    condition     = var.settings.max_event_age_hours == null ? true : var.settings.max_event_age_hours > 0 && var.settings.max_event_age_hours <= 87600
    error_message = "settings.max_event_age_hours must be above 0 and at most 87600."
  }
  validation {
    condition     = contains(["dead_letter", "requeue"], var.settings.on_unauthorized)
    error_message = "settings.on_unauthorized must be \"dead_letter\" or \"requeue\"."
  }
  validation {
    condition     = var.settings.rate.events >= 1 && var.settings.rate.events <= 1000000000 && floor(var.settings.rate.events) == var.settings.rate.events
    error_message = "settings.rate.events must be a whole number between 1 and 1000000000."
  }
  validation {
    condition     = var.settings.rate.events >= var.function.max_instances
    error_message = "settings.rate.events must be at least function.max_instances: each instance sends its share of the budget, one event at least."
  }
  validation {
    condition     = var.settings.rate.window_s > 0 && var.settings.rate.window_s <= 86400
    error_message = "settings.rate.window_s must be above 0 and at most 86400, a day."
  }
  validation {
    condition     = var.settings.request_timeout_s > 0 && var.settings.request_timeout_s <= 580
    error_message = "settings.request_timeout_s must be above 0 and at most 580."
  }
  validation {
    condition     = var.settings.settle_timeout_s > 0 && var.settings.settle_timeout_s <= 580
    error_message = "settings.settle_timeout_s must be above 0 and at most 580: the ack deadline is 20 s longer, and Pub/Sub's longest is 600."
  }
  validation {
    condition     = var.settings.settle_timeout_s > var.settings.request_timeout_s
    error_message = "settings.settle_timeout_s must be more than settings.request_timeout_s: each request needs that much of the time its delivery has left."
  }
}

variable "source_archive" {
  description = "The zip of a release (`make dist`), a path or `gs://BUCKET/OBJECT.zip`: the function is built from that, and the label `version` says what its name says. Without it the checkout around the module is packed, at plan."
  type        = string
  default     = null

  validation {
    condition     = var.source_archive == null ? true : can(regex("^(gs://[a-z0-9][a-z0-9._-]+/)?[^:]*[^:/]\\.zip$", var.source_archive))
    error_message = "source_archive must be the path of a .zip or gs://BUCKET/OBJECT.zip."
  }
  validation {
    condition     = var.source_archive == null ? true : startswith(var.source_archive, "gs://") || try(fileexists(pathexpand(var.source_archive)), false)
    error_message = "source_archive must name a file that is there, at plan and at apply: gs://BUCKET/OBJECT.zip needs none."
  }
}
