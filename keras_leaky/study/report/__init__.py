"""The results of a study for people: the page with its pictures, and the table in the terminal."""

from keras_leaky.study.report.page import write_joint_report, write_report
from keras_leaky.study.report.table import result_table

__all__ = ["result_table", "write_joint_report", "write_report"]
