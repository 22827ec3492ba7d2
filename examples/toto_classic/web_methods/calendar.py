from toto.invocation import authenticated_with_parameter, raw_response


@authenticated_with_parameter
@raw_response
def invoke(handler, parameters):
    handler.response_type = "text/calendar"
    return "BEGIN:VCALENDAR\nX-OWNER:%s\nX-KEYS:%s\nEND:VCALENDAR\n" % (  # noqa: UP031
        handler.session.user_id,
        ",".join(sorted(parameters)),
    )
