"""Looking into data sets."""

from raydet.analysis.check_data import check_config_data, scan
from raydet.analysis.data_page import html_page, text_report
from raydet.analysis.findings import ERRORS, KINDS, NOTES, Finding, Report

__all__ = [
    "ERRORS",
    "KINDS",
    "NOTES",
    "Finding",
    "Report",
    "check_config_data",
    "html_page",
    "scan",
    "text_report",
]
