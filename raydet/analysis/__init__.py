"""Looking into data sets."""

from raydet.analysis.check_data import check_config_data, scan
from raydet.analysis.data_page import html_page, text_report
from raydet.analysis.findings import ERRORS, KINDS, NOTES, Finding, Report
from raydet.analysis.optimize_anchors import ALGORITHMS, OptimizedAnchors, optimize_anchors

__all__ = [
    "ALGORITHMS",
    "ERRORS",
    "KINDS",
    "NOTES",
    "Finding",
    "OptimizedAnchors",
    "Report",
    "check_config_data",
    "html_page",
    "optimize_anchors",
    "scan",
    "text_report",
]
