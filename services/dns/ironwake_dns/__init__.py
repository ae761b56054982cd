"""The DNS service: names of the site's machines and of the appliance."""
