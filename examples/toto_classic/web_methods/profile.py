from toto.invocation import authenticated


@authenticated
def invoke(handler, parameters):
    account = handler.session.get_account("nickname")
    if "nickname" in parameters:
        account["nickname"] = parameters["nickname"]
        account.save()
    return {"nickname": account["nickname"], "missing": account["nothing"]}
