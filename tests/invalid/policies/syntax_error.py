from twin import Policy


return Policy
