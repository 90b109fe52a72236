"""How honestly the service trains and answers. A client cannot tell from jobs, events or names:
that is what verification is for."""

from vtune_client.serve.vendor.interface import HONEST, Vendor
from vtune_client.serve.vendor.names import VENDORS, parse_vendor

__all__ = ["HONEST", "VENDORS", "Vendor", "parse_vendor"]
