"""Paths of the fleet's pages and API."""

from django.contrib.auth.views import LogoutView
from django.urls import include, path

from fleet.api import alerts, audit, escalation, rules
from fleet.api import drivingevents as driving_api
from fleet.api import geofences as fences_api
from fleet.api import notifications as told
from fleet.api import statistics as statistics_api
from fleet.api import webhooks as hooks
from fleet.api.assignments import AssignmentsView, AssignmentView
from fleet.api.drivers import DriverListView, DriverView
from fleet.api.invitations import FleetInvitationsView, FleetInvitationView, ResendView
from fleet.api.journeys import (
    ChargingSessionListView,
    DetectedTripListView,
    DetectedTripView,
    StopListView,
)
from fleet.api.members import MembersView, MemberView
from fleet.api.scenarios import AnnotationsView, ScenarioListView, ScenarioView
from fleet.api.sensor_catalogue import SensorCatalogueView
from fleet.api.triprules import TripRulesView
from fleet.api.trips import TripListView, TripView
from fleet.api.tus import UploadView
from fleet.api.vehicle import VehicleView
from fleet.api.vehicles import VehicleListView, VehicleStatusView
from fleet.api.videos import VideoFileView, VideosView
from fleet.pages import (
    account,
    assignments,
    drivers,
    geofences,
    hub,
    leaderboard,
    live_map,
    login,
    memberacts,
    members,
    notifications,
    reset,
    rests,
    scenarios,
    sensors,
    vehicle,
    vehicles,
)
from fleet.pages import alerts as alert_pages
from fleet.pages import audit as audit_pages
from fleet.pages import drivingevents as driving_pages
from fleet.pages import drivingsettings as driving_settings
from fleet.pages import fleet_notifications as settings_pages
from fleet.pages import notification_choices as choices
from fleet.pages import rules as rule_pages
from fleet.pages import statistics as statistics_pages
from fleet.pages import trip as trip_page
from fleet.pages import triprules as triprule_pages
from fleet.pages import trips as trip_pages
from fleet.pages.geofence import geofence
from fleet.pages.invitation import invitation
from fleet.pages.secondfactor import second_factor_page

urlpatterns = [
    path("", include("fleet.reports.urls")),
    path("", include("fleet.privacy.urls")),
    path("", live_map.live_map, name="live-map"),
    path("live/positions", live_map.positions, name="live-positions"),
    path("alerts", alert_pages.inbox, name="alerts-page"),
    path("alerts/<int:alert>", alert_pages.alert, name="alert-page"),
    path("alerts/<int:alert>/act", alert_pages.act_on, name="alert-act-page"),
    path("notifications", notifications.notifications, name="notifications"),
    path("notifications/read", notifications.read_some, name="notifications-read"),
    path("notifications/bell", notifications.bell, name="bell"),
    path("account/notifications", choices.choices, name="notification-choices"),
    path("fleets/<slug:fleet>/notifications", settings_pages.settings_page, name="fleet-notifications"),
    path("fleets/<slug:fleet>/webhooks/<int:webhook>", settings_pages.webhook, name="webhook-page"),
    path("api/v1/notifications", told.NotificationsView.as_view(), name="notifications-api"),
    path("api/v1/notifications/read", told.ReadAllView.as_view(), name="notifications-read-api"),
    path(
        "api/v1/notifications/<int:notification>/read", told.ReadView.as_view(), name="notification-read-api"
    ),
    path(
        "api/v1/fleet/<slug:fleet>/escalation-steps", escalation.StepsView.as_view(), name="escalation-steps"
    ),
    path(
        "api/v1/fleet/<slug:fleet>/escalation-steps/<int:step>",
        escalation.StepView.as_view(),
        name="escalation-step",
    ),
    path(
        "api/v1/fleet/<slug:fleet>/notification-choice",
        escalation.ChoiceView.as_view(),
        name="notification-choice",
    ),
    path("api/v1/fleet/<slug:fleet>/webhooks", hooks.WebhooksView.as_view(), name="webhooks"),
    path("api/v1/fleet/<slug:fleet>/webhooks/<int:webhook>", hooks.WebhookView.as_view(), name="webhook"),
    path(
        "api/v1/fleet/<slug:fleet>/webhooks/<int:webhook>/secret",
        hooks.WebhookSecretView.as_view(),
        name="webhook-secret",
    ),
    path(
        "api/v1/fleet/<slug:fleet>/webhooks/<int:webhook>/test",
        hooks.WebhookTestView.as_view(),
        name="webhook-test",
    ),
    path(
        "api/v1/fleet/<slug:fleet>/webhooks/<int:webhook>/deliveries",
        hooks.DeliveriesView.as_view(),
        name="webhook-deliveries",
    ),
    path(
        "api/v1/fleet/<slug:fleet>/webhooks/<int:webhook>/deliveries/<uuid:delivery>/resend",
        hooks.ResendView.as_view(),
        name="webhook-resend",
    ),
    path("fleets/<slug:fleet>/audit", audit_pages.audit, name="audit-page"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/", vehicle.vehicle, name="vehicle"),
    path("vehicles", vehicles.vehicle_list, name="vehicles-page"),
    path("vehicles/new", vehicles.new_vehicle, name="vehicle-new"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/edit", vehicles.edit_vehicle, name="vehicle-edit"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/now", vehicle.now, name="vehicle-now"),
    path("api/v1/alerts", alerts.AlertsView.as_view(), name="alerts"),
    path("api/v1/alerts/trigger", alerts.TriggerView.as_view(), name="alert-trigger"),
    path("api/v1/alerts/<int:alert>", alerts.AlertView.as_view(), name="alert"),
    path("api/v1/alerts/<int:alert>/<str:act>", alerts.AlertActView.as_view(), name="alert-act"),
    path("api/v1/fleet/<slug:fleet>/audit", audit.AuditView.as_view(), name="fleet-audit"),
    path("api/v1/fleet/<slug:fleet>/alerts", alerts.FleetAlertsView.as_view(), name="fleet-alerts"),
    path("fleets/<slug:fleet>/rules", rule_pages.rule_list, name="rules-page"),
    path("fleets/<slug:fleet>/rules/new", rule_pages.new, name="rule-new"),
    path("fleets/<slug:fleet>/rules/<int:rule>", rule_pages.edit, name="rule-page"),
    path("fleets/<slug:fleet>/rules/<int:rule>/switch", rule_pages.switch, name="rule-switch"),
    path("fleets/<slug:fleet>/rules/<int:rule>/delete", rule_pages.delete, name="rule-delete"),
    path("api/v1/fleet/<slug:fleet>/alert-rules", rules.RulesView.as_view(), name="alert-rules"),
    path("api/v1/fleet/<slug:fleet>/alert-rules/<int:rule>", rules.RuleView.as_view(), name="alert-rule"),
    path(
        "api/v1/fleet/<slug:fleet>/alert-rules/<int:rule>/episodes",
        rules.EpisodesView.as_view(),
        name="alert-rule-episodes",
    ),
    path("api/v1/geofences", fences_api.GeofencesView.as_view(), name="geofences-api"),
    path("api/v1/geofences/<int:geofence>", fences_api.GeofenceView.as_view(), name="geofence-api"),
    path(
        "api/v1/geofences/<int:geofence>/visits",
        fences_api.GeofenceVisitsView.as_view(),
        name="geofence-visits-api",
    ),
    path("live/geofences", geofences.drawn, name="geofences-drawn"),
    path("fleets/<slug:fleet>/geofences", geofences.geofence_list, name="geofences-page"),
    path("fleets/<slug:fleet>/geofences/new", geofences.new, name="geofence-new"),
    path("fleets/<slug:fleet>/geofences/import", geofences.bring_in, name="geofence-import"),
    path("fleets/<slug:fleet>/geofences/<int:geofence>", geofence, name="geofence-page"),
    path("fleets/<slug:fleet>/geofences/<int:geofence>/edit", geofences.edit, name="geofence-edit"),
    path("fleets/<slug:fleet>/geofences/<int:geofence>/delete", geofences.delete, name="geofence-delete"),
    path("fleets/<slug:fleet>/sensors", sensors.catalogue, name="fleet-sensors"),
    path(
        "api/v1/fleet/<slug:fleet>/sensor-catalogue", SensorCatalogueView.as_view(), name="sensor-catalogue"
    ),
    path(
        "api/v1/fleet/<slug:fleet>/statistics",
        statistics_api.StatisticsView.as_view(),
        name="fleet-statistics",
    ),
    path("api/v1/fleet/<slug:fleet>/metrics", statistics_api.MetricsView.as_view(), name="fleet-metrics"),
    path("api/v1/fleet/<slug:fleet>/rankings", statistics_api.RankingsView.as_view(), name="fleet-rankings"),
    path("api/v1/fleet/<slug:fleet>/trends", statistics_api.TrendsView.as_view(), name="fleet-trends"),
    path(
        "api/v1/fleet/<slug:fleet>/utilisation",
        statistics_api.UtilisationView.as_view(),
        name="fleet-utilisation",
    ),
    path(
        "api/v1/fleet/<slug:fleet>/comparison",
        statistics_api.ComparisonView.as_view(),
        name="fleet-comparison",
    ),
    path(
        "api/v1/fleet/<slug:fleet>/drivers/leaderboard",
        statistics_api.LeaderboardView.as_view(),
        name="fleet-leaderboard",
    ),
    path("api/v1/drivers/leaderboard", statistics_api.LeaderboardView.as_view(), name="leaderboard-api"),
    path("driving-events", driving_pages.event_list, name="driving-events"),
    path("driving-events/<int:event>", driving_pages.event, name="driving-event"),
    path("driving-events/<int:event>/act", driving_pages.act_on, name="driving-event-act"),
    path("fleets/<slug:fleet>/driving", driving_settings.settings_page, name="driving-settings"),
    path("api/v1/driving-events", driving_api.DrivingEventsView.as_view(), name="driving-events-api"),
    path(
        "api/v1/driving-events/<int:event>", driving_api.DrivingEventView.as_view(), name="driving-event-api"
    ),
    path(
        "api/v1/driving-events/<int:event>/dismiss",
        driving_api.DismissView.as_view(),
        name="driving-event-dismiss-api",
    ),
    path(
        "api/v1/driving-events/<int:event>/restore",
        driving_api.RestoreView.as_view(),
        name="driving-event-restore-api",
    ),
    path("statistics", statistics_pages.overview, name="statistics"),
    path("leaderboard", leaderboard.standings, name="leaderboard"),
    path("drivers/", drivers.driver_list, name="drivers"),
    path("api/v1/drivers", DriverListView.as_view(), name="drivers-api"),
    path("api/v1/drivers/<str:driver>", DriverView.as_view(), name="driver-api"),
    path("assignments", assignments.assignment_list, name="assignments"),
    path("assignments/<int:assignment>", assignments.assignment, name="assignment-page"),
    path("fleets/<slug:fleet>/assignments/import", assignments.bring_in, name="assignment-import"),
    path("api/v1/driver-assignments", AssignmentsView.as_view(), name="assignments-api"),
    path("api/v1/driver-assignments/<int:assignment>", AssignmentView.as_view(), name="assignment-api"),
    path("trips", trip_pages.trip_list, name="trips-page"),
    path("trips/<int:trip>", trip_page.trip, name="trip-page"),
    path("stops", rests.stops, name="stops-page"),
    path("charging", rests.charging, name="charging-page"),
    path("fleets/<slug:fleet>/trip-rules", triprule_pages.trip_rules, name="trip-rules"),
    path("api/v1/fleet/<slug:fleet>/trip-rules", TripRulesView.as_view(), name="trip-rules-api"),
    path("api/v1/detected-trips", DetectedTripListView.as_view(), name="detected-trips"),
    path("api/v1/detected-trips/<int:trip>", DetectedTripView.as_view(), name="detected-trip"),
    path("api/v1/stops", StopListView.as_view(), name="stops"),
    path("api/v1/charging-sessions", ChargingSessionListView.as_view(), name="charging-sessions"),
    path("api/v1/drivers/<str:driver>/score", driving_api.DriverScoreView.as_view(), name="driver-score-api"),
    path("scenarios/", scenarios.scenarios, name="scenarios"),
    path("scenarios/<str:scenario>/", scenarios.scenario, name="scenario"),
    path("scenarios/<str:scenario>/delete", scenarios.delete, name="scenario-delete"),
    path("api/v1/vehicles", VehicleListView.as_view(), name="vehicles"),
    path("api/v1/vehicles/<str:name>", VehicleView.as_view(), name="api-vehicle"),
    path("api/v1/vehicles/<str:name>/status", VehicleStatusView.as_view(), name="vehicle-status"),
    path(
        "api/v1/vehicles/<str:name>/visits", fences_api.VehicleVisitsView.as_view(), name="vehicle-visits-api"
    ),
    path(
        "api/v1/vehicles/<str:name>/score", driving_api.VehicleScoreView.as_view(), name="vehicle-score-api"
    ),
    path("api/v1/trips", TripListView.as_view(), name="trips"),
    path("api/v1/trips/<str:trip>", TripView.as_view(), name="trip"),
    path("api/v1/scenarios", ScenarioListView.as_view(), name="scenario-list"),
    path("api/v1/scenarios/<str:scenario>", ScenarioView.as_view(), name="scenario-facts"),
    path("api/v1/scenarios/<str:scenario>/annotations", AnnotationsView.as_view(), name="annotations"),
    path("api/v1/scenarios/<str:scenario>/videos", VideosView.as_view(), name="videos"),
    path(
        "api/v1/scenarios/<str:scenario>/videos/<uuid:video>/file", VideoFileView.as_view(), name="video-file"
    ),
    path("api/v1/scenarios/<str:scenario>/uploads/<uuid:upload>", UploadView.as_view(), name="upload"),
    # People: logging in, one's own account, who belongs to a fleet.
    path("login", login.LoginPage.as_view(), name="login"),
    path("login/code", login.code, name="login-code"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("password-reset", reset.forgot, name="password-reset"),
    path("password-reset/new", reset.new_password, name="new-password"),
    path("invitation", invitation, name="invitation"),
    path("account", account.overview, name="account"),
    path("account/password", account.password, name="account-password"),
    path("account/address", account.new_address, name="new-address"),
    path("account/sessions", account.end_sessions, name="end-sessions"),
    path("account/leave", account.leave, name="leave-fleet"),
    path("account/second-factor", second_factor_page, name="second-factor"),
    path("fleets/", hub.fleets, name="fleets"),
    path("fleets/<slug:fleet>/", hub.hub, name="fleet-hub"),
    path("fleets/<slug:fleet>/members", members.member_list, name="members"),
    path("fleets/<slug:fleet>/members/<int:member>", members.member, name="member"),
    path("fleets/<slug:fleet>/members/<int:member>/act", memberacts.act_on_member, name="member-act"),
    path("fleets/<slug:fleet>/invitations", memberacts.invite, name="invite"),
    path(
        "fleets/<slug:fleet>/invitations/<int:invitation>",
        memberacts.act_on_invitation,
        name="invitation-act",
    ),
    path("fleets/<slug:fleet>/second-factor", memberacts.require_second_factor, name="require-second-factor"),
    path("api/v1/fleet/<slug:fleet>/members", MembersView.as_view(), name="members-api"),
    path("api/v1/fleet/<slug:fleet>/members/<int:member>", MemberView.as_view(), name="member-api"),
    path("api/v1/fleet/<slug:fleet>/invitations", FleetInvitationsView.as_view(), name="invitations-api"),
    path(
        "api/v1/fleet/<slug:fleet>/invitations/<int:invitation>",
        FleetInvitationView.as_view(),
        name="invitation-api",
    ),
    path(
        "api/v1/fleet/<slug:fleet>/invitations/<int:invitation>/resend",
        ResendView.as_view(),
        name="invitation-resend-api",
    ),
]
