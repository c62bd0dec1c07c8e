-- Health of an Immich for Argo CD. The conditions are described in docs/reference/conditions.md of the operator.
local health = { status = "Progressing", message = "Waiting for the operator" }

if obj.status == nil or obj.status.conditions == nil then
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  -- What is said of a former generation is not about what was asked for last.
  if condition.observedGeneration == nil or condition.observedGeneration == obj.metadata.generation then
    conditions[condition.type] = condition
  end
end

if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  health.status = "Degraded"
  health.message = conditions.Stalled.message
  return health
end

if obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

if conditions.Reconciling ~= nil and conditions.Reconciling.status == "True" then
  health.message = conditions.Reconciling.message
  return health
end

if conditions.Ready ~= nil then
  health.message = conditions.Ready.message
  if conditions.Ready.status == "True" then
    health.status = "Healthy"
  end
end

return health
