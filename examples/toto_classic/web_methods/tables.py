def invoke(handler, parameters):
    with handler.db.connect() as connection:
        return connection.exec_driver_sql("select 6 * 7").scalar()
