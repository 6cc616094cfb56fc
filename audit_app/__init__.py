"""The product: reading, comparing and auditing; the only package that knows the other two."""

from audit_app.fast_start import leave_interface_files_out

leave_interface_files_out()  # here, because it must come before any module that imports gradio
