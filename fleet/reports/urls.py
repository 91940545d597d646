"""Paths of reports: pages and API."""

from django.urls import path

from fleet.api.report_exports import ExportFileView, ExportsView, ExportView
from fleet.api.report_schedules import RunsView, ScheduleRunView, SchedulesView, ScheduleView
from fleet.api.reports import ReportsView, ReportView
from fleet.pages import exports, report_schedules, reports

_API = "api/v1/fleet/<slug:fleet>"
urlpatterns = [
    path("reports", reports.overview, name="reports"),
    path("fleets/<slug:fleet>/reports", reports.catalogue, name="fleet-reports"),
    path("fleets/<slug:fleet>/reports/<slug:report>", reports.report, name="fleet-report"),
    path("fleets/<slug:fleet>/reports/<slug:report>/columns", reports.remember, name="report-columns"),
    path("fleets/<slug:fleet>/reports/<slug:report>/export", reports.prepare, name="report-export"),
    path("exports/<uuid:export>", exports.export, name="export"),
    path("exports/<uuid:export>/file", exports.export_file, name="export-file"),
    path("fleets/<slug:fleet>/report-schedules", report_schedules.schedule_list, name="report-schedules"),
    path(
        "fleets/<slug:fleet>/report-schedules/<int:schedule>",
        report_schedules.schedule,
        name="report-schedule",
    ),
    path(f"{_API}/reports", ReportsView.as_view(), name="reports-api"),
    path(f"{_API}/reports/<slug:report>", ReportView.as_view(), name="report-api"),
    path(f"{_API}/exports", ExportsView.as_view(), name="report-exports-api"),
    path(f"{_API}/exports/<uuid:export>", ExportView.as_view(), name="report-export-api"),
    path(f"{_API}/exports/<uuid:export>/file", ExportFileView.as_view(), name="report-export-file"),
    path(f"{_API}/report-schedules", SchedulesView.as_view(), name="report-schedules-api"),
    path(f"{_API}/report-schedules/<int:schedule>", ScheduleView.as_view(), name="report-schedule-api"),
    path(
        f"{_API}/report-schedules/<int:schedule>/run", ScheduleRunView.as_view(), name="report-schedule-run"
    ),
    path(f"{_API}/report-schedules/<int:schedule>/runs", RunsView.as_view(), name="report-schedule-runs"),
]
