local members = {}
for i = 1, 20 do
  members[i] = '"k' .. i .. '": {"method": "return_value", "parameters": {"arg1": 1}}'
end
wrk.method = "POST"
wrk.body = '{"batch": {' .. table.concat(members, ", ") .. '}}'
wrk.headers["Content-Type"] = "application/json"
